"""The Basic Application Level Confidentiality Profile: which attribute gets which action.

The tables of DICOM PS3.15, Annex E, Table E.1-1 come with dicom-anonymizer. Where the standard lets
the type of an attribute decide (X/Z, X/D ...), the value that keeps any object valid is taken.
"""

from functools import cache
from typing import Literal

from pydicom.datadict import dictionary_VR

from lepton_ai.core.optional import load

__all__ = ["EDITION", "METHOD", "METHODS", "Action", "action_of", "check_installed", "kinds_of"]

EDITION = "2026c"
Action = Literal["remove", "empty", "dummy", "uid", "keep"]

# What is done to the attributes of each list in the tables.
_ACTIONS: dict[str, Action] = {
    "X_TAGS": "remove",
    "Z_TAGS": "empty",
    "X_Z_TAGS": "empty",
    "D_TAGS": "dummy",
    "Z_D_TAGS": "dummy",
    "X_D_TAGS": "dummy",
    "X_Z_D_TAGS": "dummy",
    "U_TAGS": "uid",
    "X_Z_U_STAR_TAGS": "uid",
}

# What the tables do not list and names people all the same: birth and death in another calendar, a
# recorded voice, the original attributes under somebody's key, and what signed them.
_UNLISTED: dict[tuple[int, int], Action] = {
    (0x0010, 0x0033): "remove",
    (0x0010, 0x0034): "remove",
    (0x0010, 0x0035): "remove",
    (0x0400, 0x0500): "remove",
    (0x4008, 0x0103): "remove",
    (0x4FFE, 0x0001): "remove",
}

METHOD = f"DICOM PS3.15 {EDITION} Basic Profile, by Lepton AI"
# Codes of DICOM PS3.16, CID 7050, for what is applied here.
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


def check_installed() -> None:
    """Load the tables of the standard.

    Raises:
        MissingExtra: they are not installed.
    """
    _table()


@cache
def _table() -> tuple[dict[tuple[int, int], Action], list[tuple[int, int, int, int, Action]]]:
    lists = load(
        f"dicomanonymizer.dicom_anonymization_databases.dicomfields_{EDITION}", extra="privacy"
    )
    exact = dict(_UNLISTED)
    masked: list[tuple[int, int, int, int, Action]] = []
    for name, action in _ACTIONS.items():
        for tag in getattr(lists, name):
            if len(tag) == 2:
                exact[tag] = action
            else:
                # Group and element, then which of their bits count: curves and overlays repeat.
                masked.append((*tag, action))
    return exact, masked


def action_of(group: int, element: int) -> Action:
    """Return what the profile does to an attribute; private and unknown ones are removed."""
    # Of a curve or an overlay, whose data go, nothing may stay: its labels are free text.
    if group % 2 or group >> 8 in (0x50, 0x60):
        return "remove"
    exact, masked = _table()
    found = exact.get((group, element))
    if found is not None:
        return found
    for base, number, group_bits, element_bits, action in masked:
        if (
            group & group_bits == base & group_bits
            and element & element_bits == number & element_bits
        ):
            return action
    return "keep" if kinds_of(group, element) else "remove"


def kinds_of(group: int, element: int) -> tuple[str, ...]:
    """Return the value representations that the standard has for an attribute; none if unknown."""
    try:
        return tuple(dictionary_VR((group, element)).split(" or "))
    except KeyError:
        return ()
