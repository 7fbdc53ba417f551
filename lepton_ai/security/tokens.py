"""The workspace's token: made at random at its first use, never a default."""

import hmac

from lepton_ai.security.policy import OWNER, Principal
from lepton_ai.storage import Workspace

__all__ = ["authenticate", "matches", "rotate_token", "workspace_token"]

_SECRET = "workspace-token"  # noqa: S105 (the name of the secret, not the secret)
# The prefix lets secret scanners recognise a token that was committed by mistake.
_PREFIX = "lepton_"


def workspace_token(workspace: Workspace) -> str:
    """Return the token that opens this workspace's servers: 256 random bits in hexadecimal."""
    return _PREFIX + workspace.keys.secret(_SECRET).hex()


def rotate_token(workspace: Workspace) -> str:
    """Replace the token and return the new one; the old one opens nothing any more."""
    return _PREFIX + workspace.keys.replace_secret(_SECRET).hex()


def matches(given: str, expected: str) -> bool:
    """Compare two tokens in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


def authenticate(given: str | None, expected: str) -> Principal | None:
    """Return whom a token belongs to; None when it is missing or wrong.

    Args:
        given: what the caller sent.
        expected: the workspace's token.
    """
    if given is None or not matches(given, expected):
        return None
    return OWNER
