"""Security: tokens, permissions and signatures.

Layer 2: imports only :mod:`lepton_ai.storage` and :mod:`lepton_ai.core`.
"""

from lepton_ai.security.policy import OWNER, Permission, Principal, allows
from lepton_ai.security.signing import public_key, sign, statement, verify
from lepton_ai.security.tokens import authenticate, rotate_token, workspace_token

__all__ = [
    "OWNER",
    "Permission",
    "Principal",
    "allows",
    "authenticate",
    "public_key",
    "rotate_token",
    "sign",
    "statement",
    "verify",
    "workspace_token",
]
