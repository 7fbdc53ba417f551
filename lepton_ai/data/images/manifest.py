"""Manifest: the object that an image set's dataset node stands for, a list of its images."""

from typing import Self

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import Corrupt
from lepton_ai.data.images.image import ImageEntry, Rejected

__all__ = ["Manifest"]


class Manifest(Struct, frozen=True):
    """The images of one version of an image set, in order, and the files kept aside.

    ``folder`` is the absolute path that the parts' paths are relative to.
    """

    folder: str
    entries: tuple[ImageEntry, ...]
    rejected: tuple[Rejected, ...] = ()

    def to_json(self) -> bytes:
        """Return the manifest as JSON; equal manifests give equal bytes."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a manifest back.

        Raises:
            Corrupt: the bytes are not a manifest.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise Corrupt(f"not the manifest of an image set: {error}") from error
