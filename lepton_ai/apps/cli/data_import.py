"""`lepton data import` and `show`: what is stored, and what it holds."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows, when
from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.documents.documentset import DocumentSet
from lepton_ai.data.documents.read import import_documents
from lepton_ai.data.entry import get_entry
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.load import holds_images
from lepton_ai.data.images.read import read_images
from lepton_ai.data.quality import quarantine
from lepton_ai.data.read_table import TABLE_SUFFIXES, read_table
from lepton_ai.data.table import Table

__all__ = ["import_", "show"]

_LISTED = 10


@click.command("import")
@click.argument("path")
@click.option("--name", help="Name of the dataset; that of the file or folder unless given.")
@click.option(
    "--label",
    default="auto",
    show_default=True,
    help="Images: where labels come from: 'folder', a CSV file, a DICOM keyword, or 'none'.",
)
@click.option(
    "--group",
    type=click.Choice(["patient", "study", "series", "folder", "file"]),
    default="patient",
    show_default=True,
    help="Images: what a split keeps on one side.",
)
@click.option(
    "--documents", is_flag=True, help="Keep the files as documents, even where they are images."
)
@click.option("--query", help="Tables: the SELECT to ask the database whose URL PATH is.")
@click.option("--pattern", help="Logs: common, combined, syslog, plain ..., or an expression.")
@click.option(
    "--type", "types", multiple=True, help="Tables: COLUMN=TYPE, such as zip=String; repeat."
)
@click.option("--encoding", help="Tables: of a text file; utf-8 unless given.")
@click.option("--separator", help="Tables: between fields; found unless given.")
@click.option("--sheet", help="Tables: of a spreadsheet.")
@click.option("--flatten", is_flag=True, help="Tables: make columns a.b of nested JSON.")
@click.option(
    "--rejects",
    type=click.Choice(["refuse", "keep"]),
    default="refuse",
    show_default=True,
    help="Tables: what to do with rows that do not fit; kept ones become NAME.rejected.",
)
@as_json
def import_(
    path: str,
    name: str | None,
    label: str,
    group: Literal["patient", "study", "series", "folder", "file"],
    documents: bool,
    query: str | None,
    pattern: str | None,
    types: tuple[str, ...],
    encoding: str | None,
    separator: str | None,
    sheet: str | None,
    flatten: bool,
    rejects: Literal["refuse", "keep"],
    as_json: bool,
) -> None:
    """Store a table, a folder of images or of any other files, as a version of a dataset.

    Images: DICOM, NIfTI, PNG, JPEG, TIFF or NumPy files in PATH and below. Tables: a CSV, TSV,
    Parquet, JSON, Excel, XML, ARFF or log file, the address of one, or a database. Documents: any
    files, where none of them is an image. Files are stored encrypted, once; importing the same
    again changes nothing.
    """
    options: dict[str, Any] = {
        "query": query,
        "pattern": pattern,
        "types": dict(map(_pair, types)) or None,
        "encoding": encoding,
        "separator": separator,
        "sheet": sheet,
        "flatten": flatten or None,
    }
    given = {key: value for key, value in options.items() if value is not None}
    dataset = _import(path, name, label, group, documents, {**given, "rejects": rejects})
    _describe(dataset, as_json=as_json)
    if not as_json:
        click.echo(f"\nNext: {_next(dataset, path)}")


def _import(
    path: str,
    name: str | None,
    label: str,
    group: Literal["patient", "study", "series", "folder", "file"],
    documents: bool,
    options: dict[str, Any],
) -> ImageSet | Table:
    if "://" in path:
        return read_table(path, name=name, **options)
    where = Path(path)
    if not where.exists():
        raise NotFound(f"there is no file or folder {path}")
    if documents or (where.is_dir() and not holds_images(where)):
        by_folder: Literal["folder"] | None = "folder" if label == "folder" else None
        return import_documents(where, name=name, label=by_folder)
    if "pattern" in options or (where.is_file() and where.suffix.lower() in TABLE_SUFFIXES):
        return read_table(where, name=name, **options)
    source = None if label == "none" else label
    return read_images(where, name=name, label=source, group=group)


def _pair(text: str) -> tuple[str, str]:
    column, equals, kind = text.rpartition("=")
    if not equals or not column:
        raise InvalidInput(f"write COLUMN=TYPE, such as zip=String; got {text!r}")
    return column, kind


def _next(dataset: ImageSet | Table, path: str) -> str:
    if isinstance(dataset, DocumentSet):
        return f"lepton sql 'SELECT * FROM \"{dataset.name}\"'"  # noqa: S608 (text to be typed)
    if isinstance(dataset, Table):
        return f"lepton train {dataset.name} --target COLUMN"
    if dataset.labels is None:
        return f"label the images, then lepton data import {path} --label TABLE.csv"
    return f"lepton train {dataset.name}"


@click.command()
@click.argument("dataset")
@as_json
def show(dataset: str, as_json: bool) -> None:
    """Show what a dataset holds, and what was set aside when it was read."""
    _describe(open_dataset(dataset), as_json=as_json)


def _describe(dataset: ImageSet | Table, *, as_json: bool) -> None:
    if isinstance(dataset, ImageSet):
        _describe_images(dataset, as_json=as_json)
    elif isinstance(dataset, DocumentSet):
        _describe_documents(dataset, as_json=as_json)
    else:
        _describe_table(dataset, as_json=as_json)


def _describe_images(images: ImageSet, *, as_json: bool) -> None:
    labels = images.labels
    classes = {} if labels is None else dict(Counter(map(str, labels.tolist())))
    rejected = [to_builtins(item) for item in images.rejected]
    facts: dict[str, Any] = {
        "dataset": images.ref,
        "format": "images",
        "count": len(images),
        "classes": classes,
        "groups": len(set(images.groups.tolist())),
        "folder": images.folder,
        "created": images.dataset.created_at,
        "rejected": rejected,
    }
    if as_json:
        print_json(facts)
        return
    click.echo(str(images.summary()))
    _list_rejected(rejected)


def _describe_documents(documents: DocumentSet, *, as_json: bool) -> None:
    rejected = [to_builtins(item) for item in documents.rejected]
    if as_json:
        kinds = Counter(documents["media_type"].tolist())
        print_json(
            {
                "dataset": documents.ref,
                "format": "documents",
                "count": len(documents),
                "media_types": dict(kinds.most_common()),
                "folder": documents.folder,
                "created": documents.dataset.created_at,
                "rejected": rejected,
            }
        )
        return
    click.echo(repr(documents))
    _list_rejected(rejected)


def _list_rejected(rejected: list[dict[str, Any]]) -> None:
    if rejected:
        click.echo()
        print_rows(
            rejected[:_LISTED], as_json=False, empty="", columns=["path", "reason", "detail"]
        )
        if len(rejected) > _LISTED:
            click.echo(f"and {len(rejected) - _LISTED:,} more (--json lists all)")


def _describe_table(table: Table, *, as_json: bool) -> None:
    said = get_entry(table.workspace, table.name).columns
    schema = [
        {"column": c, "type": t, "tags": ", ".join(said[c].tags) if c in said else ""}
        for c, t in table.schema.items()
    ]
    bad = table.dataset.facts.get("rejected")
    aside = quarantine(table.name, table.workspace)
    kept_out = 0 if aside is None else len(aside)
    if as_json:
        print_json(
            {
                "dataset": table.ref,
                "format": "table",
                "rejected": bad or {},
                "quarantined": kept_out,
                "count": len(table),
                "columns": schema,
                "created": table.dataset.created_at,
            }
        )
        return
    click.echo(
        f"Table {table.ref}: {len(table):,} rows, {len(schema)} columns, stored "
        f"{when(table.dataset.created_at)}\n"
    )
    print_rows(schema, as_json=False, empty="no columns")
    if bad:
        reasons = f'SELECT * FROM "{bad["dataset"]}"'  # noqa: S608 (text to be typed)
        click.echo(f"\n{bad['rows']:,} rows were rejected; see why: lepton sql '{reasons}'")
    if kept_out:
        click.echo(
            f"\n{kept_out:,} rows are kept aside, because they break a rule; see why: "
            f"lepton quality quarantine {table.name}"
        )
