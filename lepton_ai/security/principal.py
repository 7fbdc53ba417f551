"""Who is acting: the owner of the workspace, unless a block says otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lepton_ai.security.policy import OWNER, Principal

__all__ = ["acting_as", "current_principal"]

_current: ContextVar[Principal] = ContextVar("principal", default=OWNER)


def current_principal() -> Principal:
    """Return who is acting in this thread or task.

    It is the owner unless `acting_as` says otherwise: whoever runs a program that can read the
    workspace's directory and its key can read everything anyway.
    """
    return _current.get()


@contextmanager
def acting_as(principal: Principal | str) -> Iterator[Principal]:
    """Act as someone else inside a block; a name stands for a principal without permissions.

    What is opened inside keeps that principal, also in other threads and processes.
    """
    someone = Principal(principal) if isinstance(principal, str) else principal
    token = _current.set(someone)
    try:
        yield someone
    finally:
        _current.reset(token)
