"""`lepton data ls` and `history`: the datasets of the workspace, and the versions of one."""

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows, size
from lepton_ai.core.errors import NotFound
from lepton_ai.data.listing import catalog
from lepton_ai.storage import Workspace

__all__ = ["history", "ls"]


@click.command()
@click.argument("name", required=False)
@click.option("--namespace", help="Only of this namespace: what stands before a name's dot.")
@click.option("--tag", help="Only with this tag, or with a column that has it.")
@click.option("--search", help="Only with this text in name, description, owner, tags, columns.")
@as_json
def ls(
    name: str | None, namespace: str | None, tag: str | None, search: str | None, as_json: bool
) -> None:
    """List the datasets: tables, image sets, documents; with NAME, its versions.

    With --json also the schema, the branches and what each was made from and is used by.
    """
    if name is not None:
        _print_versions(name, as_json=as_json)
        return
    found = catalog(namespace=namespace, tag=tag, search=search)
    if as_json:
        print_json([{"dataset": one.name, **to_builtins(one)} for one in found])
        return
    rows = [
        {
            "dataset": one.name,
            "format": one.format,
            "count": one.count,
            "size": size(one.size),
            "versions": one.versions,
            "owner": one.owner or None,
            "tags": ", ".join(one.tags) or None,
            "description": one.description or None,
            "changed": one.changed_at,
        }
        for one in found
    ]
    asked = namespace or tag or search
    empty = "No dataset yet; bring one in with: lepton data import PATH"
    print_rows(rows, as_json=False, empty="No such dataset; lepton data ls" if asked else empty)


@click.command()
@click.argument("name")
@as_json
def history(name: str, as_json: bool) -> None:
    """List a dataset's versions: what made each, and whether its content is still there."""
    _print_versions(name, as_json=as_json)


def _print_versions(name: str, *, as_json: bool) -> None:
    # What reads tables is heavy; a listing does without.
    from lepton_ai.data.versions import history as versions

    workspace = Workspace.open()
    node = workspace.lineage.resolve(name, ["dataset"])
    rows = versions(workspace, node.name).to_dicts()
    if not rows:
        raise NotFound(f"there is no dataset {name!r}; `lepton data ls` lists what there is")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["tags"] = ", ".join(row["tags"]) or None
        row["bytes"] = size(row["bytes"] or 0)
        row["kept"] = "yes" if row["kept"] else "no"
    print_rows(rows, as_json=False, empty="no versions")
