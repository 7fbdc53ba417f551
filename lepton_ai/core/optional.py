"""Optional and heavy libraries, imported on first use."""

from importlib import import_module
from typing import Any

from lepton_ai.core.errors import MissingExtra

__all__ = ["load"]


def load(path: str, *, extra: str) -> Any:
    """Import a module, or an attribute of one written ``module:attribute``.

    Args:
        path: dotted module path, with ``:attribute`` for something inside it.
        extra: the extra of the lepton-ai distribution that installs the library.

    Raises:
        MissingExtra: when the library is absent; the message names the command to run.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        # A missing module of our own is a bug, not a missing extra.
        if error.name is None or error.name.split(".")[0] == "lepton_ai":
            raise
        raise MissingExtra(
            f"the library {error.name!r} is needed here and not installed; "
            f"run: pip install 'lepton-ai[{extra}]'"
        ) from error
    return getattr(module, attribute) if attribute else module
