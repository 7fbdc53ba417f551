"""The entry point of `lepton`: the table of commands, and how errors leave."""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lepton_ai import __version__
from lepton_ai.apps.cli.group import LazyGroup, Row
from lepton_ai.core.errors import LeptonError
from lepton_ai.core.settings import home_of

__all__ = ["main"]

_HERE = "lepton_ai.apps.cli"
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FLOW, _SERVER, _HOME = "From data to a service", "The service", "The workspace"

COMMANDS = {
    "demo": Row(f"{_HERE}.demo:demo", "Run the whole path in under a minute.", _FLOW),
    "data": Row(f"{_HERE}.data:data", "Import, list and show datasets.", _FLOW),
    "sql": Row(f"{_HERE}.sql:sql", "Answer a SELECT over the datasets.", _FLOW),
    "analyse": Row(f"{_HERE}.analyse:analyse", "Describe data; find what stands out.", _FLOW),
    "quality": Row(f"{_HERE}.quality:quality", "Check data against rules; quarantine.", _FLOW),
    "deidentify": Row(
        f"{_HERE}.deidentify:deidentify", "Remove from DICOM files what names a person.", _FLOW
    ),
    "privacy": Row(f"{_HERE}.privacy:privacy", "Find, protect, anonymise personal data.", _FLOW),
    "erase": Row(f"{_HERE}.erase:erase", "Remove a person, everywhere.", _FLOW),
    "recipe": Row(f"{_HERE}.recipe:recipe", "Propose, keep and run recipes.", _FLOW),
    "train": Row(f"{_HERE}.train:train", "Train a model on a dataset.", _FLOW),
    "evaluate": Row(f"{_HERE}.evaluate:evaluate", "Measure a model on a dataset.", _FLOW),
    "compare": Row(f"{_HERE}.compare:compare", "Tell two models apart on a dataset.", _FLOW),
    "explain": Row(f"{_HERE}.explain:explain", "Say why a model answers as it does.", _FLOW),
    "models": Row(f"{_HERE}.models:models", "List, show and export models.", _FLOW),
    "reproduce": Row(
        f"{_HERE}.reproduce:reproduce", "Train a model again; compare every byte.", _FLOW
    ),
    "deploy": Row(f"{_HERE}.deploy:deploy", "Serve a model at an endpoint.", _FLOW),
    "predict": Row(f"{_HERE}.predict:predict", "Ask a deployed model.", _FLOW),
    "trace": Row(
        f"{_HERE}.trace:trace", "Show what a prediction, model, dataset or file came from.", _FLOW
    ),
    "up": Row(f"{_HERE}.server:up", "Start the inference server.", _SERVER),
    "down": Row(f"{_HERE}.server:down", "Stop the inference server.", _SERVER),
    "status": Row(f"{_HERE}.server:status", "Show what is being served.", _SERVER),
    "logs": Row(f"{_HERE}.server:logs", "Show the server's log.", _SERVER),
    "token": Row(f"{_HERE}.token:token", "Print the token that requests need.", _SERVER),
    "init": Row(f"{_HERE}.workspace:init", "Create the workspace.", _HOME),
    "doctor": Row(f"{_HERE}.doctor:doctor", "Check every part and say what to do.", _HOME),
    "storage": Row(f"{_HERE}.storage:storage", "Verify and tidy what is stored.", _HOME),
    "access": Row(f"{_HERE}.access:access", "Say who sees tagged columns.", _HOME),
    "backup": Row(f"{_HERE}.backup:backup", "Back up, verify and restore.", _HOME),
    "keys": Row(f"{_HERE}.keys:keys", "Show and rotate the master key.", _HOME),
    "settings": Row(f"{_HERE}.workspace:settings", "List every setting and its value.", _HOME),
    "completion": Row(
        f"{_HERE}.completion:completion", "Print the completion script of a shell.", _HOME
    ),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="lepton")
@click.option(
    "--home",
    type=click.Path(file_okay=False),
    help="The workspace directory; else LEPTON_HOME, else ~/.lepton.",
)
def lepton(home: str | None) -> None:
    """From raw, sensitive data to a secured, traceable prediction service.

    Start with `lepton demo`, then `lepton data import FOLDER`.
    """
    if home:
        # Servers started by a command inherit the choice.
        os.environ["LEPTON_HOME"] = home


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code.

    0: done. 1: it failed, and the message says why. 2: the command line is wrong.
    130: interrupted. A user's mistake never prints a traceback, nor a warning a line of code.
    """
    warnings.showwarning = _warn
    try:
        code = lepton.main(
            args=None if arguments is None else list(arguments),
            prog_name="lepton",
            standalone_mode=False,
        )
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.UsageError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        error.show()
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (LeptonError, OSError) as error:
        # Of the system's errors, such as a folder that may not be read, the words suffice too.
        click.echo(f"Error: {_own(error)}", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _warn(message: Warning | str, *place: Any, **more: Any) -> None:
    click.echo(f"Warning: {message}", err=True)


def _own(error: Exception) -> Exception:
    """Return the error to tell: of a file of the workspace, who may not open it and what to do."""
    if not isinstance(error, OSError) or error.errno not in _REFUSED:
        return error
    # The storage takes long to import, and `--help` does without.
    from lepton_ai.storage.files import denied

    home = home_of()
    inside = isinstance(error.filename, str) and Path(error.filename).is_relative_to(home)
    return denied(home) if inside else error
