"""`lepton data`: the commands, imported when they are run."""

import click

from lepton_ai.apps.cli.group import LazyGroup, Row

__all__ = ["data"]

_HERE = "lepton_ai.apps.cli"
_CHANGE = f"{_HERE}.data_change"
_VERSIONS = f"{_HERE}.data_versions"

COMMANDS = {
    "import": Row(f"{_HERE}.data_import:import_", "Store a folder of images, or a table."),
    "pull": Row(f"{_HERE}.data_pull:pull", "Store an open data set."),
    "ls": Row(f"{_HERE}.data_list:ls", "List the datasets, or the versions of one."),
    "show": Row(f"{_HERE}.data_show:show", "Show what a dataset holds."),
    "history": Row(f"{_HERE}.data_list:history", "List a dataset's versions."),
    "describe": Row(f"{_HERE}.data_describe:describe", "Say what a dataset and its columns are."),
    "append": Row(f"{_CHANGE}:append", "Add the rows of a file to a table."),
    "upsert": Row(f"{_CHANGE}:upsert", "Replace and add rows, by their key."),
    "delete": Row(f"{_CHANGE}:delete", "Remove the rows that meet a condition."),
    "tag": Row(f"{_VERSIONS}:tag", "Let NAME@TAG mean a version."),
    "branch": Row(f"{_VERSIONS}:branch", "Start a line of versions of its own."),
    "merge": Row(f"{_VERSIONS}:merge", "Bring a branch's versions back."),
    "compact": Row(f"{_VERSIONS}:compact", "Write a table's small files together."),
    "expire": Row(f"{_VERSIONS}:expire", "Remove the rows of old versions."),
    "drop": Row(f"{_VERSIONS}:drop", "Remove a table with all its versions."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def data() -> None:
    """Import, list, describe and keep datasets."""
