"""The gate: turns the Authorization header into a principal, and denies by default."""

from lepton_ai.security.policy import Permission, Principal, allows
from lepton_ai.security.tokens import authenticate
from lepton_ai.serving.messages import HttpError

__all__ = ["Gate"]


class Gate:
    """Decides on every request.

    Args:
        token: the workspace's token; assign another when it is rotated.
    """

    def __init__(self, token: str) -> None:
        self.token = token

    def admit(self, header: bytes | None, permission: Permission) -> Principal | None:
        """Return who asks; None for anybody, where the permission is public.

        Args:
            header: the value of Authorization, such as ``Bearer lepton_...``.
            permission: what the route needs.

        Raises:
            HttpError: 401 without a valid token, 403 when the principal lacks the permission.
        """
        if permission is Permission.PUBLIC:
            return None
        scheme, _, given = (header or b"").partition(b" ")
        principal = None
        if scheme.lower() == b"bearer":
            principal = authenticate(given.strip().decode("latin-1"), self.token)
        if principal is None:
            raise HttpError(
                401,
                "this needs the workspace's token: send the header 'Authorization: Bearer TOKEN' "
                "(`lepton token` prints it)",
                [(b"www-authenticate", b'Bearer realm="lepton"')],
            )
        if not allows(principal, permission):
            raise HttpError(
                403, f"this needs the permission {permission.value!r}, which you do not have"
            )
        return principal
