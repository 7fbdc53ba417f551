"""Where slices lie in the patient, and the order that follows from it (DICOM PS3.3, C.7.6.2).

Slices are ordered by their position projected on the slice normal, never by file name or
instance number, which scanners and archives number as they like.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import acos, degrees, dist, isfinite, sqrt

from msgspec import Struct

from lepton_ai.data.images.elements import Elements

__all__ = ["Arrangement", "Place", "arrange", "direction", "normal", "place_of"]

Vector = tuple[float, float, float]

_POSITION, _ORIENTATION = 0x00200032, 0x00200037
# Pixel spacing proper, then what projection images have instead (PS3.3, 10.7.1.3).
_SPACINGS = {
    "PixelSpacing": 0x00280030,
    "ImagerPixelSpacing": 0x00181164,
    "NominalScannedPixelSpacing": 0x00182010,
}
_SAME = 1e-3  # mm: two positions nearer than this are one


class Place(Struct, frozen=True):
    """Where one slice lies: LPS position of its first pixel, unit vectors along its rows
    and columns, and pixel spacing (y, x) in mm; ``facts`` names what was unusable or stood in.
    """

    position: Vector | None = None
    row: Vector | None = None
    column: Vector | None = None
    spacing: tuple[float, float] | None = None
    facts: tuple[tuple[str, str], ...] = ()


class Arrangement(Struct, frozen=True):
    """How slices form a volume: their order, how many volumes, spacing and what is odd.

    ``order`` are indices of the given slices, volume after volume, each along the normal;
    ``spacing`` is the distance of neighbours in mm, None where there are none.
    """

    order: tuple[int, ...]
    volumes: int = 1
    spacing: float | None = None
    facts: tuple[tuple[str, str], ...] = ()


def place_of(elements: Elements) -> Place:
    """Read the place of a slice from its header; what is missing or absurd is None."""
    faults: dict[str, str] = {}

    def finite(name: str, tag: int, size: int) -> tuple[float, ...] | None:
        values = elements.numbers(tag)
        if values is None:
            return None
        if len(values) != size or not all(isfinite(value) for value in values):
            faults[f"bad_{name}"] = (elements.text(tag) or "")[:80]
            return None
        return values

    position = finite("position", _POSITION, 3)
    cosines = finite("orientation", _ORIENTATION, 6)
    row = column = None
    if cosines is not None:
        row, column = _unit(cosines[:3]), _unit(cosines[3:])
        if row is None or column is None or abs(_dot(row, column)) > 1e-2:
            faults["bad_orientation"] = (elements.text(_ORIENTATION) or "")[:80]
            row = column = None
    spacing = None
    for name, tag in _SPACINGS.items():
        pair = finite("spacing", tag, 2)
        if pair is None:
            continue
        if min(pair) <= 0:
            faults["bad_spacing"] = (elements.text(tag) or "")[:80]
            continue
        spacing = (pair[0], pair[1])
        if name != "PixelSpacing":
            faults["spacing_from"] = name
        break
    return Place(
        position=(position[0], position[1], position[2]) if position else None,
        row=row,
        column=column,
        spacing=spacing,
        facts=tuple(faults.items()),
    )


def normal(place: Place) -> Vector | None:
    """Return the unit normal of a slice, rows x columns; None without an orientation."""
    if place.row is None or place.column is None:
        return None
    (a, b, c), (d, e, f) = place.row, place.column
    return _unit((b * f - c * e, c * d - a * f, a * e - b * d))


def direction(place: Place) -> tuple[float, ...] | None:
    """Return the 3 x 3 matrix, row by row, with columns x, y and normal."""
    upright = normal(place)
    if place.row is None or place.column is None or upright is None:
        return None
    return tuple(
        value for axis in zip(place.row, place.column, upright, strict=True) for value in axis
    )


def arrange(places: Sequence[Place], ranks: Sequence[Mapping[str, float]]) -> Arrangement | None:
    """Order slices of one orientation along their normal.

    Where each position holds the same number of slices, above one, they are that many volumes
    (time points, echoes, diffusion weights), told apart by the first of the ranks that does;
    ``ranks`` gives each slice's values, most telling name first.

    Returns None where a slice has no position or orientation.
    """
    upright = normal(places[0])
    positions = [place.position for place in places if place.position is not None]
    if upright is None or len(positions) < len(places):
        return None
    depths = [_dot(upright, position) for position in positions]
    order = sorted(range(len(places)), key=lambda index: (depths[index], _number(ranks[index])))
    piles: list[list[int]] = []
    for index in order:
        if piles and depths[index] - depths[piles[-1][0]] < _SAME:
            piles[-1].append(index)
        else:
            piles.append([index])
    facts: dict[str, str] = {"ordered_by": "position"}
    volumes = 1
    if len(piles) < len(order):
        sizes = {len(pile) for pile in piles}
        told = _told_apart(piles, ranks) if len(sizes) == 1 else None
        if told is None:
            facts["duplicate_positions"] = str(len(order) - len(piles))
        else:
            name, piles = told
            volumes = sizes.pop()
            facts["ordered_by"] = f"{name}, position"
            order = [pile[number] for number in range(volumes) for pile in piles]
    first, last = positions[piles[0][0]], positions[piles[-1][0]]
    gaps = [depths[later[0]] - depths[earlier[0]] for earlier, later in pairwise(piles)]
    spacing = None
    if gaps:
        middle = sorted(gaps)[len(gaps) // 2]
        spacing = (depths[piles[-1][0]] - depths[piles[0][0]]) / len(gaps)
        if max(gaps) - min(gaps) > max(0.01 * middle, _SAME):
            facts["irregular_spacing"] = f"{min(gaps):.6g} to {max(gaps):.6g} mm"
            spacing = middle
        tilt = degrees(acos(min(1.0, abs(sum(gaps)) / max(dist(first, last), 1e-9))))
        if tilt > 0.1:
            facts["gantry_tilt"] = f"{tilt:.3f} degrees"
    return Arrangement(tuple(order), volumes, spacing, tuple(facts.items()))


def _told_apart(
    piles: list[list[int]], ranks: Sequence[Mapping[str, float]]
) -> tuple[str, list[list[int]]] | None:
    """Sort each pile by the first rank that has the same distinct values in every pile.

    The instance number, whose values differ from pile to pile, need only be distinct.
    """
    for name in ranks[piles[0][0]]:
        values = [[ranks[index].get(name) for index in pile] for pile in piles]
        if any(None in row or len(set(row)) < len(row) for row in values):
            continue
        if name != "InstanceNumber" and len({frozenset(row) for row in values}) > 1:
            continue
        return name, [sorted(pile, key=lambda index: ranks[index][name]) for pile in piles]
    return None


def _number(rank: Mapping[str, float]) -> float:
    return rank.get("InstanceNumber", 0.0)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _unit(values: Sequence[float]) -> Vector | None:
    length = sqrt(_dot(values, values))
    if not length > 1e-6:
        return None
    return (values[0] / length, values[1] / length, values[2] / length)
