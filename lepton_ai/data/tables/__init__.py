"""Tables: Apache Iceberg, through PyIceberg, on the workspace's own database and objects.

`create` brings rows in, `changes` alters them, `commit` is the one place where a version comes to
be, `scan` the one where rows are read; `fileio` and `catalog` are what PyIceberg sees of the
workspace. PyIceberg takes a second to import, so each name is imported at its first use.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "Scan": "scan",
    "append": "changes",
    "branch": "refs",
    "check_condition": "conditions",
    "compact": "maintenance",
    "condition": "conditions",
    "delete": "changes",
    "drop": "maintenance",
    "evolve": "changes",
    "expire": "maintenance",
    "kept_snapshots": "refs",
    "merge": "refs",
    "overwrite": "changes",
    "schema_of": "types",
    "store_table": "create",
    "tag": "refs",
    "upsert": "changes",
}

__all__ = sorted(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
