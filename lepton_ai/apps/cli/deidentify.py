"""`lepton deidentify`: DICOM files that name nobody."""

from pathlib import Path

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json
from lepton_ai.data.privacy.dicom import deidentify_images

__all__ = ["deidentify"]


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--allow-burned-in", is_flag=True, help="Publish images that may show text.")
@click.option("--keep-going", is_flag=True, help="Publish the others when files are refused.")
@click.option("--keep-folders", is_flag=True, help="Keep the folders, which may be classes.")
@as_json
def deidentify(
    source: Path,
    destination: Path,
    allow_burned_in: bool,
    keep_going: bool,
    keep_folders: bool,
    as_json: bool,
) -> None:
    """Copy DICOM files of SOURCE into a new folder DESTINATION, without what names a person.

    By DICOM PS3.15, Basic Profile, with dates moved. Each copy is searched for what identified the
    patient; a hit refuses it.
    """
    report = deidentify_images(
        source,
        destination,
        burned_in="allow" if allow_burned_in else "reject",
        keep_going=keep_going,
        keep_folders=keep_folders,
    )
    if as_json:
        print_json(to_builtins(report))
        return
    click.echo(str(report))
    click.echo(f"\nNext: lepton data import {destination}")
