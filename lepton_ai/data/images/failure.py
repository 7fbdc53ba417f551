"""Why one file cannot be read: an error with a reason to count by."""

from lepton_ai.core.errors import InvalidInput

__all__ = ["Unreadable"]


class Unreadable(InvalidInput):
    """A file is not an image that can be read.

    ``reason`` is one of those listed at :class:`lepton_ai.data.images.image.Rejected`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
