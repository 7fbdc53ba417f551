"""Access: what a principal sees of a dataset's columns; the one place where it is decided."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import AccessDenied
from lepton_ai.data.images.image import ImageEntry, ImageMeta
from lepton_ai.data.images.manifest import Manifest
from lepton_ai.data.tags import OPEN, main_name, tags_of
from lepton_ai.security.grants import sees
from lepton_ai.security.policy import Permission, Principal, allows
from lepton_ai.storage import Node, Workspace

__all__ = ["IMAGE_COLUMNS", "REFUSED", "SAME", "Sight", "mask", "masked_manifest", "shown", "sight"]

# Columns with this tag are refused, not masked, to whoever lacks the grant.
REFUSED = "secret"
_HIDDEN = "***"
_LISTS_VALUES = "Enum("

# What is known of each image, under the names that tags and SQL use.
IMAGE_COLUMNS = tuple(
    name for name in (*ImageEntry.__struct_fields__, *ImageMeta.__struct_fields__) if name != "meta"
)
# Columns of images that hold the same as another.
SAME = {"patient": ("group",), "group": ("patient",)}
# What no image can be shown without.
_NEEDED = frozenset({"pixels", "fingerprint", "shape", "dtype", "channels", "reader", "index"})


class Sight(Struct, frozen=True):
    """What a principal sees of a dataset's columns: all but these in clear.

    Attributes:
        masked: columns that are seen masked.
        refused: columns that are not seen at all, and the tag that forbids it.
    """

    principal: str
    dataset: str
    masked: frozenset[str] = frozenset()
    refused: Mapping[str, str] = {}

    def types(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the types of columns, or their texts, without values that are not seen."""
        hidden = {*self.masked, *self.refused}
        return {name: shown(kind) if name in hidden else kind for name, kind in columns.items()}

    def check(self, columns: Iterable[str]) -> frozenset[str]:
        """Return which of these columns are masked.

        Raises:
            AccessDenied: one of them is refused.
        """
        names = [*columns]
        for name in names:
            if name in self.refused:
                tag = self.refused[name]
                raise AccessDenied(
                    f"{self.principal} may not read column {name!r} of {self.dataset}: it is "
                    f"tagged {tag!r}; read other columns, or ask the owner for: lepton access "
                    f"grant {self.principal} {tag}"
                )
        return self.masked.intersection(names)

    def require(self, columns: Iterable[str], what: str) -> None:
        """Make sure that all of these columns are seen in clear.

        Raises:
            AccessDenied: one of them is not; what is done with it would tell of its values.
        """
        hidden = sorted(self.check(columns))
        if hidden:
            raise AccessDenied(
                f"{self.principal} may not {what} by columns {hidden} of {self.dataset}, which "
                f"they see masked; ask the owner for a grant: lepton access grant {self.principal}"
            )


def sight(workspace: Workspace, dataset: Node, principal: Principal) -> Sight:
    """Return what a principal sees of a dataset's columns."""
    if allows(principal, Permission.ADMIN):
        return Sight(principal.name, dataset.ref)
    masked: set[str] = set()
    refused: dict[str, str] = {}
    seen: dict[str, bool] = {}
    scope = main_name(dataset.name)
    for name, tags in tags_of(workspace, dataset).items():
        for tag in sorted(tags - OPEN):
            if tag not in seen:
                seen[tag] = sees(workspace, principal, tag, scope)
            if not seen[tag] and tag == REFUSED:
                refused[name] = tag
            elif not seen[tag]:
                masked.add(name)
    return Sight(principal.name, dataset.ref, frozenset(masked), refused)


def shown(kind: Any) -> Any:
    """Return the type, or its text, that a masked column is seen with: one may list values."""
    if _LISTS_VALUES not in str(kind):
        return kind
    return "String" if isinstance(kind, str) else pl.String()


def mask(frame: pl.DataFrame, columns: frozenset[str]) -> pl.DataFrame:
    """Return a frame with columns masked: text becomes ***, anything else empty."""
    changed: list[Any] = [
        pl.when(pl.col(name).is_not_null()).then(pl.lit(_HIDDEN)).alias(name)
        if shown(kind) == pl.String
        else pl.lit(None, dtype=kind).alias(name)
        for name, kind in frame.schema.items()
        if name in columns
    ]
    return frame.with_columns(changed) if changed else frame


def masked_manifest(
    workspace: Workspace, dataset: Node, manifest: Manifest, principal: Principal
) -> Manifest:
    """Return what a principal sees of an image set: all, or with columns masked.

    Raises:
        AccessDenied: a column is refused, or is one without which no image can be shown.
    """
    view = sight(workspace, dataset, principal)
    whole = {*view.masked, *view.refused}
    if not whole:
        return manifest
    known = {*IMAGE_COLUMNS, *(key for e in manifest.entries for key in e.meta.attributes)}
    view.check(known)
    view.require(_NEEDED, "see images")
    hidden = whole.union(*(SAME.get(name, ()) for name in whole))
    paths = "parts" in hidden
    return Manifest(
        _HIDDEN if paths else manifest.folder,
        tuple(_masked(entry, hidden) for entry in manifest.entries),
        () if paths else manifest.rejected,
    )


def _masked(entry: ImageEntry, hidden: set[str]) -> ImageEntry:
    parts = entry.parts
    if "parts" in hidden:
        parts = tuple(msgspec.structs.replace(part, path=_HIDDEN, sha256="") for part in parts)
    attributes = {
        key: value
        for key, value in entry.meta.attributes.items()
        if key not in hidden and "attributes" not in hidden
    }
    meta = msgspec.structs.replace(entry.meta, attributes=attributes, **_blank(entry.meta, hidden))
    return msgspec.structs.replace(entry, parts=parts, meta=meta, **_blank(entry, hidden))


def _blank(item: Struct, hidden: set[str]) -> dict[str, Any]:
    """Return the fields of an item that change: text becomes ***, anything else empty."""
    values = {name: getattr(item, name) for name in item.__struct_fields__ if name in hidden}
    return {
        name: _HIDDEN if isinstance(value, str) else None
        for name, value in values.items()
        if value is not None and name not in ("parts", "attributes")
    }
