"""A command group whose commands are rows of a table, imported when they are run.

`lepton --help` lists names and one-line summaries from the table alone, so it starts at
once whatever the commands import.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from msgspec import Struct

__all__ = ["LazyGroup", "Row"]


class Row(Struct, frozen=True):
    """One command: where it lies, as ``module:attribute``, its summary and its section."""

    path: str
    summary: str
    section: str = "Commands"


class LazyGroup(click.Group):
    """A click group over a table of rows."""

    def __init__(self, *arguments: Any, table: Mapping[str, Row], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        row = self.table.get(cmd_name)
        if row is None:
            return None
        module, _, attribute = row.path.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with; a mistyped one gets a suggestion."""
        if args and args[0] not in self.table and not ctx.resilient_parsing:
            raise click.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries, section by section, importing nothing."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, row in self.table.items():
            sections.setdefault(row.section, []).append((name, row.summary))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)
