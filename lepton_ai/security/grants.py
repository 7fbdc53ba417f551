"""Grants: which principal sees columns of which tag, and of which dataset."""

from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import AccessDenied, Corrupt, InvalidInput
from lepton_ai.security.policy import OWNER, Permission, Principal, allows
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import grants

__all__ = ["Grant", "grant", "list_grants", "require", "revoke", "sees"]

EVERYWHERE = "*"


class Grant(Struct, frozen=True):
    """A principal may see columns with a tag, in one dataset or, by ``*``, in all."""

    principal: str
    tag: str
    scope: str
    until: datetime | None = None


def grant(
    workspace: Workspace,
    principal: str,
    tag: str,
    scope: str = EVERYWHERE,
    until: datetime | None = None,
) -> Grant:
    """Let a principal see columns with a tag in clear.

    Args:
        scope: a dataset's name, or ``*`` for all.
        until: when it ends by itself.

    Raises:
        AccessDenied: whoever asks may not administer.
        InvalidInput: the principal is the owner, or a word is empty.
    """
    require(Permission.ADMIN, "grant access to columns")
    if not (principal and tag and scope) or principal == OWNER.name:
        raise InvalidInput(f"grant a tag to someone other than the owner; got {principal!r}")
    made = Grant(principal, tag, scope, until)
    values = {
        "body": workspace.keys.seal(msgspec.json.encode(made), _context(made)),
        "created_at": datetime.now(UTC),
    }
    with workspace.database.write() as connection:
        connection.execute(
            workspace.database.insert(grants)
            .values(principal=principal, scope=scope, tag=tag, **values)
            .on_conflict_do_update(index_elements=["principal", "scope", "tag"], set_=values)
        )
    return made


def revoke(workspace: Workspace, principal: str, tag: str, scope: str = EVERYWHERE) -> bool:
    """Take a grant back; say whether there was one.

    Raises:
        AccessDenied: whoever asks may not administer.
    """
    require(Permission.ADMIN, "revoke access to columns")
    with workspace.database.write() as connection:
        done = connection.execute(
            sa.delete(grants).where(
                grants.c.principal == principal, grants.c.scope == scope, grants.c.tag == tag
            )
        )
    return bool(done.rowcount)


def list_grants(workspace: Workspace, principal: str | None = None) -> list[Grant]:
    """Return the grants, or those of one principal.

    Raises:
        Corrupt: a row was altered.
    """
    query = sa.select(grants).order_by(grants.c.principal, grants.c.scope, grants.c.tag)
    if principal is not None:
        query = query.where(grants.c.principal == principal)
    with workspace.database.read() as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        named = Grant(row.principal, row.tag, row.scope)
        try:
            body = workspace.keys.unseal(row.body, _context(named))
            found.append(msgspec.json.decode(body, type=Grant))
        except (Corrupt, msgspec.DecodeError) as error:
            raise Corrupt(
                f"the grant of {row.tag!r} to {row.principal!r} was altered; restore the database "
                "from a backup"
            ) from error
    return found


def sees(workspace: Workspace, principal: Principal, tag: str, dataset: str) -> bool:
    """Say whether a principal sees columns with a tag of a dataset in clear."""
    if allows(principal, Permission.ADMIN):
        return True
    now = datetime.now(UTC)
    return any(
        given.tag == tag
        and given.scope in (EVERYWHERE, dataset.partition("#")[0])
        and (given.until is None or given.until > now)
        for given in list_grants(workspace, principal.name)
    )


def require(permission: Permission, what: str) -> None:
    """Make sure that whoever acts has a permission.

    Raises:
        AccessDenied: they have not.
    """
    someone = current_principal()
    if not allows(someone, permission):
        raise AccessDenied(f"{someone.name} may not {what}; ask the owner of the workspace")


def _context(given: Grant) -> bytes:
    return msgspec.json.encode(["grant", given.principal, given.scope, given.tag])
