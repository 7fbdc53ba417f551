"""Why one file cannot be read: an error with a reason to count by."""

import re

from lepton_ai.core.errors import InvalidInput

__all__ = ["Unreadable"]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class Unreadable(InvalidInput):
    """A file is not an image that can be read.

    ``reason`` is one of those listed at :class:`lepton_ai.data.images.image.Rejected`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        # The same fault reads the same each time: libraries put addresses into their messages.
        self.reason = reason
        self.detail = _ADDRESS.sub("0x...", " ".join(detail.split()))[:300]
        super().__init__(f"{reason}: {self.detail}")
