"""`lepton data import`: what is stored as a version of a dataset."""

from pathlib import Path
from typing import Any, Literal

import click

from lepton_ai.apps.cli.data_show import show_dataset
from lepton_ai.apps.cli.output import as_json
from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.documents.documentset import DocumentSet
from lepton_ai.data.documents.read import import_documents
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.load import holds_images
from lepton_ai.data.images.read import read_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.readers import suffixes
from lepton_ai.data.readers.address import is_address
from lepton_ai.data.table import Table

__all__ = ["import_"]


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
@click.option("--decimal-comma", is_flag=True, help="Tables: 1,5 is one and a half.")
@click.option("--sheet", help="Tables: of a spreadsheet.")
@click.option(
    "--header-row",
    type=int,
    help="Tables: the row of a spreadsheet that names the columns, from 1.",
)
@click.option("--record", help="Tables: the element of XML that is a row; found unless given.")
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
    decimal_comma: bool,
    sheet: str | None,
    header_row: int | None,
    record: str | None,
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
        "decimal_comma": decimal_comma or None,
        "sheet": sheet,
        "header_row": header_row,
        "record": record,
        "flatten": flatten or None,
    }
    given = {key: value for key, value in options.items() if value is not None}
    dataset = _import(path, name, label, group, documents, {**given, "rejects": rejects})
    show_dataset(dataset, as_json=as_json)
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
    if is_address(path):
        return read_table(path, name=name, **options)
    where = Path(path)
    if not where.exists():
        raise NotFound(f"there is no file or folder {path}")
    if documents or (where.is_dir() and not holds_images(where)):
        by_folder: Literal["folder"] | None = "folder" if label == "folder" else None
        return import_documents(where, name=name, label=by_folder)
    if "pattern" in options or (where.is_file() and where.suffix.lower() in suffixes()):
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
        file = min(Path(path).glob("*.csv"), default=None)
        if file is not None:
            return f"for the rows of a table, import it by its file: lepton data import {file}"
        return f"lepton sql 'SELECT * FROM \"{dataset.name}\"'"  # noqa: S608 (text to be typed)
    if isinstance(dataset, Table):
        return f"lepton train {dataset.name} --target COLUMN"
    if dataset.labels is None:
        return f"label the images, then lepton data import {path} --label TABLE.csv"
    return f"lepton train {dataset.name}"
