"""Quarantine: rows that broke a rule, with the reason, until they are repaired or left."""

from typing import Any

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data import tables
from lepton_ai.data.access import sight
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.quality.gate import REASONS
from lepton_ai.data.quality.repaired import typed
from lepton_ai.data.table import Table
from lepton_ai.data.tables.entering import QUARANTINE
from lepton_ai.data.tags import main_name
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Workspace

__all__ = ["quarantine", "readmit"]

_MARKS = (REASONS, "_id", "_time")


def quarantine(name: str, workspace: Workspace | None = None) -> Table | None:
    """Return the rows of a table that were kept aside; None when there never were any.

    Those of its branches lie there too. Columns are those of the table, then ``_reasons``,
    ``_id`` and ``_time``.
    """
    try:
        table = open_dataset(main_name(name) + QUARANTINE, workspace)
    except NotFound:
        return None
    assert isinstance(table, Table)
    return table


def readmit(name: str, repaired: Any, workspace: Workspace | None = None) -> tuple[int, int]:
    """Let repaired rows in; they leave the quarantine, and what still fails goes back there.

    All of it is one commit.

    Args:
        name: of the table, or of a branch of it.
        repaired: rows of the quarantine, mended, whole and with their ``_id``.

    Returns:
        How many rows entered the table, and how many stayed out.

    Raises:
        NotFound: there is no quarantine, or it has no such row.
        InvalidInput: a value is not of the table's type, or columns of the rows are missing,
            whose values would be lost.
        AccessDenied: the principal sees columns of the rows masked.
    """
    place = workspace or Workspace.open()
    kept = quarantine(name, place)
    if kept is None:
        raise NotFound(f"nothing of {name!r} was ever kept aside")
    rows = typed(frame_of(repaired), kept.scan().collect_schema())
    ids = rows["_id"].to_list() if "_id" in rows.columns else []
    unknown = sorted(set(map(str, ids)) - set(kept.to_polars(["_id"])["_id"]))
    if unknown or not ids:
        raise NotFound(
            "give the rows with their _id as the quarantine has it; "
            f"unknown: {', '.join(unknown[:5]) or 'there is none'}"
        )
    if len(set(ids)) < len(ids):
        raise InvalidInput("a row of the quarantine can enter once; an _id is there twice")
    table = open_dataset(name, place)
    assert isinstance(table, Table)
    own = rows.drop([c for c in _MARKS if c in rows.columns])
    view = sight(place, kept.dataset, current_principal())
    view.require([c for c in kept.columns if c not in _MARKS], "readmit rows")
    lost = [c for c in table.columns if c in kept.columns and c not in own.columns]
    if lost:
        raise InvalidInput(
            f"the repaired rows lack the columns {lost}, whose values would be lost; give whole "
            f"rows, as: lepton quality quarantine {name} --csv rows.csv"
        )
    after = tables.append(place, table.name, [own], leaving=ids)
    # Of others that wrote meanwhile nothing is counted: the version before is what this one grew.
    before = dict(place.lineage.parents(after.id))["previous"]
    entered = int(after.facts["rows"]) - int(before.facts["rows"])
    return entered, len(ids) - entered
