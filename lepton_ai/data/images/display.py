"""How images look in a notebook: small PNG pictures inside the page, fetched from nowhere."""

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from lepton_ai.core.errors import LeptonError

__all__ = ["contact_sheet", "thumbnail"]

_SIDE = 96


class _Shown(Protocol):
    """What a contact sheet needs of an image."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str | None: ...
    @property
    def array(self) -> NDArray[Any]: ...
    @property
    def colour(self) -> bool: ...


def thumbnail(array: NDArray[Any], *, colour: bool, side: int = _SIDE) -> bytes:
    """Return a PNG at most ``side`` pixels wide and high, from lowest (black) to highest value.

    Args:
        array: (y, x), or more axes before these, of which the middle plane is shown; then 3
            where ``colour``.
        colour: whether the last axis holds red, green and blue.
        side: pixels; small images are enlarged by a whole factor, so pixels stay visible.
    """
    plane = array
    while plane.ndim > (3 if colour else 2):
        plane = plane[len(plane) // 2]
    values = np.nan_to_num(plane.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    grey = np.round((values - low) / (high - low or 1.0) * 255).astype(np.uint8)
    picture = Pillow.fromarray(grey)
    longest = max(picture.size)
    if longest > side:
        picture.thumbnail((side, side))
    elif longest * 2 <= side:
        factor = side // longest
        size = (picture.width * factor, picture.height * factor)
        picture = picture.resize(size, Pillow.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def contact_sheet(title: str, images: Iterable[_Shown]) -> str:
    """Return HTML with a small picture of each image above its label and id.

    An image that cannot be decoded shows the reason in its place.
    """
    return (
        f"<pre>{escape(title)}</pre>"
        '<div style="display:flex;flex-wrap:wrap;gap:8px">'
        + "".join(map(_figure, images))
        + "</div>"
    )


def _figure(image: _Shown) -> str:
    try:
        png = base64.b64encode(thumbnail(image.array, colour=image.colour)).decode()
    except LeptonError as error:
        shown = f"<div>{escape(str(error))}</div>"
    else:
        shown = f'<img alt="{escape(image.id)}" src="data:image/png;base64,{png}">'
    label = "" if image.label is None else f"<b>{escape(image.label)}</b> "
    return (
        f'<figure style="margin:0;width:{_SIDE}px;overflow-wrap:anywhere;font-size:smaller">'
        f"{shown}<figcaption>{label}{escape(image.id)}</figcaption></figure>"
    )
