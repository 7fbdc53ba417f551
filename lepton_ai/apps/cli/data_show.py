"""`lepton data show`: what a dataset holds, and what the catalog says of it."""

from collections import Counter
from typing import Any

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows, size, when
from lepton_ai.core.words import counted
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.documents.documentset import DocumentSet
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.listing import Listed, catalog
from lepton_ai.data.quality import quarantine
from lepton_ai.data.table import Table

__all__ = ["show", "show_dataset"]

_LISTED = 10


@click.command()
@click.argument("dataset")
@as_json
def show(dataset: str, as_json: bool) -> None:
    """Show what a dataset holds, whose it is, and what it was made from."""
    show_dataset(open_dataset(dataset), as_json=as_json)


def show_dataset(dataset: ImageSet | Table, *, as_json: bool) -> None:
    """Print all that is known of a dataset."""
    (listed,) = catalog(dataset.workspace, name=dataset.name.partition("#")[0])
    facts = {"dataset": dataset.ref, "count": len(dataset), "created": dataset.dataset.created_at}
    kind = next(kind for kind in _SHOWN if isinstance(dataset, kind))
    facts |= _SHOWN[kind][0](dataset) | _said(listed, dataset)
    if as_json:
        print_json(facts)
    else:
        _SHOWN[kind][1](dataset, facts)
        _print_said(listed)


def _said(listed: Listed, dataset: ImageSet | Table) -> dict[str, Any]:
    """Return what the catalog says; the newest version's columns give way to this one's."""
    facts = to_builtins(listed)
    own = {"name", "format", "version", "count", "created_at", "changed_at"}
    said = {key: value for key, value in facts.items() if key not in own}
    if isinstance(dataset, Table):
        known = {column.name: to_builtins(column) for column in listed.columns}
        empty = {"unit": "", "description": "", "tags": []}
        said["columns"] = [
            {**empty, **known.get(name, {}), "name": name, "type": kind}
            for name, kind in dataset.schema.items()
        ]
    return said


def _print_said(listed: Listed) -> None:
    click.echo()
    if listed.description:
        click.echo(listed.description)
    named = [f"{word} is {listed.name}:{version}" for word, version in listed.named.items()]
    lines = {
        "owner": listed.owner,
        "tags": ", ".join(listed.tags),
        "size": size(listed.size),
        "versions": ", ".join([f"{listed.versions:,}", *named]),
        "branches": ", ".join(listed.branches),
        "made from": ", ".join(listed.made_from),
        "used by": ", ".join(listed.used_by),
    }
    for word, text in lines.items():
        if text:
            click.echo(f"{word}: {text}")


def _images(images: ImageSet) -> dict[str, Any]:
    labels = images.labels
    return {
        "format": "images",
        "classes": {} if labels is None else dict(Counter(map(str, labels.tolist()))),
        "groups": len(set(images.groups.tolist())),
        "folder": images.folder,
        "rejected": [to_builtins(item) for item in images.rejected],
    }


def _print_images(images: ImageSet, facts: dict[str, Any]) -> None:
    click.echo(str(images.summary()))
    _list_rejected(facts["rejected"])


def _documents(documents: DocumentSet) -> dict[str, Any]:
    kinds = Counter(documents["media_type"].tolist())
    return {
        "format": "documents",
        "media_types": dict(kinds.most_common()),
        "folder": documents.folder,
        "rejected": [to_builtins(item) for item in documents.rejected],
    }


def _print_documents(documents: DocumentSet, facts: dict[str, Any]) -> None:
    click.echo(repr(documents))
    _list_rejected(facts["rejected"])


def _list_rejected(rejected: list[dict[str, Any]]) -> None:
    if rejected:
        click.echo()
        print_rows(
            rejected[:_LISTED], as_json=False, empty="", columns=["path", "reason", "detail"]
        )
        if len(rejected) > _LISTED:
            click.echo(f"and {len(rejected) - _LISTED:,} more (--json lists all)")


def _table(table: Table) -> dict[str, Any]:
    aside = quarantine(table.name, table.workspace)
    return {
        "format": "table",
        "rejected": table.dataset.facts.get("rejected") or {},
        "quarantined": 0 if aside is None else len(aside),
    }


def _print_table(table: Table, facts: dict[str, Any]) -> None:
    columns = facts["columns"]
    click.echo(
        f"Table {table.ref}: {counted(len(table), 'row')}, {counted(len(columns), 'column')}, "
        f"stored {when(table.dataset.created_at)}\n"
    )
    rows = [
        {
            "column": column["name"],
            "type": column["type"],
            **{word: column[word] for word in ("unit", "description") if _any(columns, word)},
            "tags": ", ".join(column["tags"]),
        }
        for column in columns
    ]
    print_rows(rows, as_json=False, empty="no columns")
    bad = facts["rejected"]
    if bad:
        reasons = f'SELECT * FROM "{bad["dataset"]}"'  # noqa: S608 (text to be typed)
        click.echo(f"\n{bad['rows']:,} rows were rejected; see why: lepton sql '{reasons}'")
    if facts["quarantined"]:
        click.echo(
            f"\n{facts['quarantined']:,} rows are kept aside, because they break a rule; see why: "
            f"lepton quality quarantine {table.name}"
        )


def _any(columns: list[dict[str, Any]], word: str) -> bool:
    return any(column[word] for column in columns)


# What is told of each kind of dataset beside what the catalog says, and how it is printed.
_SHOWN: dict[type, tuple[Any, Any]] = {
    ImageSet: (_images, _print_images),
    DocumentSet: (_documents, _print_documents),
    Table: (_table, _print_table),
}
