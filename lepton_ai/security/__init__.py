"""Security: tokens, permissions and signatures.

Layer 2: imports only :mod:`lepton_ai.storage` and :mod:`lepton_ai.core`. Each name is imported at
its first use: a worker that only needs to know who acts loads no storage.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.security.policy import OWNER as OWNER
    from lepton_ai.security.policy import Permission as Permission
    from lepton_ai.security.policy import Principal as Principal
    from lepton_ai.security.policy import allows as allows
    from lepton_ai.security.signing import public_key as public_key
    from lepton_ai.security.signing import sign as sign
    from lepton_ai.security.signing import statement as statement
    from lepton_ai.security.signing import verify as verify
    from lepton_ai.security.tokens import authenticate as authenticate
    from lepton_ai.security.tokens import rotate_token as rotate_token
    from lepton_ai.security.tokens import workspace_token as workspace_token

_PLACES = {
    "policy": ("OWNER", "Permission", "Principal", "allows"),
    "signing": ("public_key", "sign", "statement", "verify"),
    "tokens": ("authenticate", "rotate_token", "workspace_token"),
}
_MODULES = {name: f"{__name__}.{place}" for place, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
