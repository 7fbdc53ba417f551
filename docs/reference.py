"""Writes the reference pages from the code itself: command line, settings and API.

Run it by `make docs`; a test fails while the pages differ from the code.
"""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from msgspec import structs

from lepton_ai.apps.cli.main import COMMANDS, lepton
from lepton_ai.core.settings import Settings, describe

DOCS = Path(__file__).parent
NOTICE = "<!-- Written by docs/reference.py from the code; change the code instead. -->\n"
SDK = {
    "DataManagement": "lepton_ai.sdk.data_management",
    "MachineLearning": "lepton_ai.sdk.machine_learning",
    "DistributedComputing": "lepton_ai.sdk.distributed_computing",
}


def command_line() -> str:
    """Return the page of every command with its options."""
    lines = [NOTICE, "# Command line\n"]
    lines.append(
        "Every listing takes `--json`. Exit codes: 0 done, 1 failed (the message says why), 2 the\n"
        "command line is wrong, 130 interrupted. `--home DIRECTORY`, before the command, chooses\n"
        "the workspace. `lepton completion bash` prints the completion script of a shell.\n"
    )
    context = click.Context(lepton, info_name="lepton")
    for name in COMMANDS:
        lines += _command(lepton.get_command(context, name), f"lepton {name}", context)
    return "\n".join(lines)


def _command(command: click.Command | None, path: str, parent: click.Context) -> list[str]:
    assert command is not None
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    if isinstance(command, click.Group):
        parts = [f"## {path}\n", f"{_plain(command.help)}\n"]
        for name in command.list_commands(context):
            parts += _command(command.get_command(context, name), f"{path} {name}", context)
        return parts
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [
        parameter.get_help_record(context)
        for parameter in command.params
        if isinstance(parameter, click.Option)
    ]
    level = "###" if path.count(" ") > 1 else "##"
    parts = [f"{level} {path}\n", f"```text\n{path} {usage}\n```\n", f"{_plain(command.help)}\n"]
    if rows:
        parts.append("| option | meaning |\n|---|---|")
        parts += [f"| `{row[0]}` | {_cell(row[1])} |" for row in rows if row]
        parts.append("")
    return parts


def settings() -> str:
    """Return the page of every setting."""
    lines = [NOTICE, "# Settings\n"]
    lines.append(
        "A setting `name` is read from the variable `LEPTON_NAME`, else from the key `name` of\n"
        "`lepton.toml` in the workspace directory, else it keeps its default. An unknown key or a\n"
        "value out of range is an error that names it. `lepton settings` shows what is in force.\n"
    )
    lines.append("| setting | variable | default | meaning |\n|---|---|---|---|")
    meanings = describe()
    for field in structs.fields(Settings):
        default = "`~/.lepton`" if field.name == "home" else f"`{field.default!r}`"
        variable = f"LEPTON_{field.name.upper()}"
        lines.append(f"| `{field.name}` | `{variable}` | {default} | {meanings[field.name]} |")
    return "\n".join(lines) + "\n"


def api() -> str:
    """Return the page of every public name of the three doors."""
    lines = [NOTICE, "# API reference\n"]
    lines.append("The names of `from lepton_ai import DataManagement, MachineLearning, ...`.\n")
    for door, path in SDK.items():
        module = importlib.import_module(path)
        lines += [f"## {door}\n", f"{_doc(module)}\n"]
        for name in module.__all__:
            lines += _member(f"{door}.{name}", getattr(module, name), "###")
    return "\n".join(lines)


def _member(path: str, member: Any, level: str) -> list[str]:
    name = path.rpartition(".")[2]
    if inspect.isclass(member):
        parts = [f"{level} {path}\n", f"{_doc(member)}\n"]
        for attribute, value in vars(member).items():
            value = value.__func__ if isinstance(value, classmethod) else value
            if attribute.startswith("_") or not inspect.getdoc(value):
                continue
            if inspect.isfunction(value):
                signature = _signature(attribute, value)
                parts += [f"**`{signature}`**\n", f"{_doc(value)}\n"]
            elif isinstance(value, property):
                parts += [f"**`{attribute}`**: {_doc(value)}\n"]
        return parts
    return [f"{level} {path}\n", f"```text\n{_signature(name, member)}\n```\n", f"{_doc(member)}\n"]


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    kept = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    shown = signature.replace(parameters=kept, return_annotation=inspect.Signature.empty)
    return f"{name}{shown}"


def _doc(member: Any | ModuleType) -> str:
    """Return a docstring as Markdown: its sections become lists, its examples code."""
    text = inspect.getdoc(member) or ""
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")
    lines: list[str] = []
    section = code = False
    for line in text.splitlines():
        if line.endswith("::"):
            lines += [line[:-1], "", "```python"]
            code = True
        elif code and line and not line.startswith(" "):
            lines = [*_trimmed(lines), "```", "", line]
            code = False
        elif code:
            if line or lines[-1] != "```python":
                lines.append(line[4:])
        elif re.fullmatch(r"(Args|Returns|Raises|Attributes|Warns|Yields):", line):
            lines += [f"*{line[:-1]}*", ""]
            section = True
        elif section and re.match(r"    \S", line):
            term, colon, rest = line.strip().partition(":")
            lines.append(f"- `{term}`:{rest}" if colon else f"- {line.strip()}")
        elif section and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            section = section and not line
            lines.append(line)
    if code:
        lines = [*_trimmed(lines), "```"]
    return "\n".join(lines).strip()


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def _plain(text: str | None) -> str:
    """Return the help of a command; what it keeps line by line becomes a block."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        if paragraph.startswith("\b"):
            paragraphs.append("```text\n" + paragraph[1:].strip("\n") + "\n```")
        else:
            paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


PAGES = {"command-line.md": command_line, "settings.md": settings, "api.md": api}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write())
