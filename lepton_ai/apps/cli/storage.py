"""`lepton storage`: re-read what is stored, and tidy it."""

import sys

import click

from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.storage import Workspace

__all__ = ["storage"]


@click.group()
def storage() -> None:
    """Verify and tidy what is stored."""


@storage.command()
@as_json
def verify(as_json: bool) -> None:
    """Read every stored byte again and check it against its keys and digests.

    Exits with 1 when anything is altered, truncated or missing; what an interrupted command
    left behind is listed, but harms nothing.
    """
    faults = list(Workspace.open().verify())
    rows = [
        {
            "kind": fault.kind,
            "subject": fault.subject,
            "detail": fault.detail,
            "harmless": fault.harmless,
        }
        for fault in faults
    ]
    print_rows(rows, as_json=as_json, empty="Every stored byte is as it was written.")
    if not all(fault.harmless for fault in faults):
        sys.exit(1)


@storage.command()
@as_json
def collect(as_json: bool) -> None:
    """Delete objects that nothing refers to, and what interrupted commands left behind."""
    collected = Workspace.open().objects.collect()
    if as_json:
        print_json(collected)
        return
    click.echo(
        f"Removed {collected.objects:,} objects that nothing held and {collected.leftovers:,} "
        f"leftovers of interrupted commands; freed {collected.bytes:,} bytes."
    )
