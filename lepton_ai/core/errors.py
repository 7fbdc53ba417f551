"""The error tree: one root, with the matching builtin mixed in.

A message says what was wrong, the value received, and what to do next. Rooms of the
house define their own narrower errors beside the code that raises them.
"""

__all__ = [
    "AccessDenied",
    "Conflict",
    "Corrupt",
    "InvalidInput",
    "LeptonError",
    "MissingExtra",
    "NotFound",
    "Unavailable",
]


class LeptonError(Exception):
    """Root of every error that Lepton AI raises on purpose.

    The message of one is meant for a person; a front end prints it without a traceback.
    """


class InvalidInput(LeptonError, ValueError):
    """An argument, a file or a request does not have the form it must have."""


class NotFound(LeptonError, LookupError):
    """A named thing (dataset, model, prediction, object) does not exist."""


class Conflict(LeptonError):
    """The state of the workspace forbids the operation; retrying may help."""


class Corrupt(LeptonError, OSError):
    """Stored bytes fail authentication or their digest: they were altered or truncated."""


class AccessDenied(LeptonError, PermissionError):
    """The caller's identity or permission does not allow the operation."""


class Unavailable(LeptonError, ConnectionError):
    """A server or service that the operation needs does not answer."""


class MissingExtra(LeptonError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""
