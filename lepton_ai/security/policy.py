"""Who may do what: permissions, principals, and the one decision, which denies by default."""

from enum import StrEnum

from msgspec import Struct

__all__ = ["OWNER", "Permission", "Principal", "allows"]


class Permission(StrEnum):
    """What a route or a command needs; every one declares exactly one of these."""

    PUBLIC = "public"
    """Nothing: anyone may, without a token."""
    PREDICT = "predict"
    """Ask a deployed model for predictions."""
    READ = "read"
    """See datasets, models, lineage and prediction receipts."""
    WRITE = "write"
    """Add data, train and register models."""
    DEPLOY = "deploy"
    """Deploy, swap and stop models."""
    ADMIN = "admin"
    """Rotate keys and tokens, verify and collect storage."""


class Principal(Struct, frozen=True):
    """Someone who was recognised, and what that person or program may do."""

    name: str
    permissions: frozenset[Permission] = frozenset()


# Whoever holds the workspace's own token.
OWNER = Principal("owner", frozenset(Permission))


def allows(principal: Principal | None, permission: Permission) -> bool:
    """Say whether a principal, or nobody in particular, has a permission."""
    if permission is Permission.PUBLIC:
        return True
    return principal is not None and permission in principal.permissions
