"""`lepton backup`: create, ls, verify, restore, prune."""

from datetime import datetime
from pathlib import Path

import click
from msgspec import to_builtins

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import (
    create_backup,
    list_backups,
    prune_backups,
    restore_backup,
    verify_backup,
)

__all__ = ["backup"]

_place = click.argument("destination", required=False)


@click.group()
def backup() -> None:
    """Back the workspace up, and restore it.

    DESTINATION is a directory or a URL such as s3://bucket/prefix; the setting backup_url unless
    given.
    """


@backup.command()
@_place
@click.option(
    "--new-place",
    is_flag=True,
    help="It may be empty although backups were made to it: another disk, or they were removed.",
)
@as_json
def create(destination: str | None, new_place: bool, as_json: bool) -> None:
    """Copy what the destination lacks; safe while the workspace is in use."""
    workspace = Workspace.open()
    info = create_backup(workspace, _url(destination), new_place=new_place)
    if as_json:
        print_json(to_builtins(info))
        return
    click.echo(
        f"{info.id}: {info.bytes:,} bytes in {info.packs} packs, of which {info.copied:,} were new"
    )
    keys = workspace.home / "keys.json"
    if keys.is_file():
        click.echo(
            f"\nKeep a copy of {keys} elsewhere: without it nobody can restore, not even you"
        )


@backup.command()
@_place
@as_json
def ls(destination: str | None, as_json: bool) -> None:
    """List the backups of a destination, oldest first."""
    found = list_backups(_url(destination))
    rows = [
        {
            "backup": info.id,
            "created": info.created_at,
            "workspace": info.workspace,
            "fault": info.fault,
        }
        for info in found
    ]
    columns = ["backup", "created", "workspace"] + ["fault"] * any(info.fault for info in found)
    empty = "no backup; make one with: lepton backup create"
    print_rows(rows, as_json=as_json, empty=empty, columns=columns)


@backup.command()
@_place
@click.option("--backup", "backup_id", help="Which; the newest unless given.")
@as_json
def verify(destination: str | None, backup_id: str | None, as_json: bool) -> None:
    """Read a backup as a restore would and prove every byte of it."""
    faults = [*verify_backup(Workspace.open(), _url(destination), backup_id)]
    rows = [to_builtins(fault) for fault in faults]
    print_rows(rows, as_json=as_json, empty="the backup is whole and intact")
    if faults:
        raise click.exceptions.Exit(1)


@backup.command()
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--from", "source", help="The destination; the setting backup_url unless given.")
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A copy of keys.json.",
)
@click.option("--backup", "backup_id", help="Which; the newest unless given.")
@click.option("--at", type=click.DateTime(), help="The newest that is not younger than this.")
@click.option("--workspace", "workspace_id", help="Which, where there are several.")
def restore(
    home: Path,
    source: str | None,
    key: Path | None,
    backup_id: str | None,
    at: datetime | None,
    workspace_id: str | None,
) -> None:
    """Make the workspace anew in HOME, an empty directory."""
    restored = restore_backup(
        _url(source), home, key_file=key, backup=backup_id, at=at, workspace_id=workspace_id
    )
    click.echo(
        f"restored and verified in {restored.home}\n\nNext: export LEPTON_HOME={restored.home}"
    )


@backup.command()
@_place
@click.option("--keep", type=click.IntRange(min=1), default=7, show_default=True)
@as_json
def prune(destination: str | None, keep: int, as_json: bool) -> None:
    """Remove all but the newest backups, and what only they needed."""
    gone, freed = prune_backups(Workspace.open(), _url(destination), keep=keep)
    if as_json:
        print_json({"removed": gone, "bytes": freed})
    else:
        click.echo(f"removed {len(gone)} backups, {freed:,} bytes")


def _url(destination: str | None) -> str:
    url = destination or Settings.load().backup_url
    if not url:
        raise InvalidInput(
            "say where the backups are: a directory or an address, or set LEPTON_BACKUP_URL once"
        )
    return url
