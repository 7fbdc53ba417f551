"""split_data: part a data set into training and test, without letting one tell of the other.

What belongs together stays together: the images of one patient, the rows of a named group, and
items that are exactly equal. `plan_split` gives the same parting as row numbers and a report.
"""

from typing import Any, Literal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.dataset import Dataset, record_sides
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.partition import partition
from lepton_ai.data.resemblance import look_alikes
from lepton_ai.data.rows import Items, items_of
from lepton_ai.data.split_report import SplitReport

__all__ = ["plan_split", "split_data"]

Sides = tuple[NDArray[np.intp], NDArray[np.intp]]

_LISTED = 100  # sets of duplicates that a report lists
_BINS = 10
_OFTEN = 0.2
_FEW_VALUES = 20  # a number with more distinct values is balanced by quantiles


def split_data(
    data: Any,
    test_size: float = 0.2,
    *,
    target: str | None = None,
    group: Any = "auto",
    stratify: Any = True,
    duplicates: Literal["together", "ignore"] = "together",
    time: Any = None,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Part a data set into a training and a test side of the same kind.

    The same data and arguments give the same sides, on any machine. Each side of a stored data
    set gets a node in the lineage and the report, as ``test.split``.

    Args:
        data: an `ImageSet`, a `Table`, a pandas, Polars or Arrow frame, or a pair of arrays
            (X, y).
        test_size: the test side's share, between 0 and 1 (rounded up), or its number of items.
        target: the column of labels; image sets and pairs have theirs.
        group: what stays on one side. ``auto``: the images of one patient; nothing for rows. A
            column's name, or for images ``patient``, ``study`` or ``series``; an array with one
            value an item; None: each item is on its own, and patients may be on both sides.
        stratify: True keeps class shares equal (of a number: its quantiles); False does not;
            else a column's name or an array to balance in the place of the labels.
        duplicates: ``together`` keeps items that are exactly equal (but for labels and groups)
            on one side; ``ignore`` lets them fall apart.
        time: a column's name, or an array with a moment or number an item: the latest items are
            the test side, all of one moment on one side, whatever their class or group. For
            series and forecasts, where chance would give the future away.
        seed: 0 to 2**32 - 1; another seed, another choice.

    Returns:
        Training and test side, their items in the order of the data.

    Raises:
        InvalidInput: there is nothing to part (fewer than two groups), equal images have
            different labels, or an argument does not fit; the message names it.
    """
    items = items_of(data, target)
    rows, report = _plan(data, items, test_size, group, stratify, duplicates, time, seed)
    if isinstance(data, Dataset):
        train, test = record_sides(data, rows, report)
        return train, test
    return items.take(rows[0]), items.take(rows[1])


def plan_split(
    data: Any,
    test_size: float = 0.2,
    *,
    target: str | None = None,
    group: Any = "auto",
    stratify: Any = True,
    duplicates: Literal["together", "ignore"] = "together",
    time: Any = None,
    seed: int = 0,
) -> tuple[Sides, SplitReport]:
    """Return the row numbers of both sides, and the report, without making the sides.

    The arguments and errors are those of `split_data`.
    """
    items = items_of(data, target)
    return _plan(data, items, test_size, group, stratify, duplicates, time, seed)


def _plan(
    data: Any,
    items: Items,
    test_size: float,
    group: Any,
    stratify: Any,
    duplicates: str,
    time: Any,
    seed: int,
) -> tuple[Sides, SplitReport]:
    if duplicates not in ("together", "ignore"):
        raise InvalidInput(f"duplicates must be 'together' or 'ignore'; got {duplicates!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InvalidInput(f"seed must be a whole number from 0 to 2**32 - 1; got {seed!r}")
    count = _test_count(len(items), test_size)
    if time is not None:
        return _by_time(items, count, time, group, seed)
    labels = items.labels() if stratify is True else None
    if stratify is not True and stratify is not False and stratify is not None:
        labels = items.values(stratify, "stratify")
    grouped_by, groups = items.groups(group)
    equal = items.equals(groups_by=grouped_by) if duplicates == "together" else None
    if equal is not None and isinstance(data, ImageSet):
        _refuse_contradictions(items, equal)
    joined = groups if equal is None else _joined(groups, equal)
    if joined.max() == 0:
        raise InvalidInput(_one_group(items, grouped_by, groups))
    classes, names = _classes(labels, len(items))
    test = partition(joined, classes, count, seed)
    sides = np.flatnonzero(~test), np.flatnonzero(test)
    report = SplitReport(
        train=len(sides[0]),
        test=len(sides[1]),
        wanted=count,
        seed=seed,
        grouped_by=grouped_by,
        groups=int(joined.max()) + 1,
        classes={
            name: (int((classes[~test] == place).sum()), int((classes[test] == place).sum()))
            for place, name in enumerate(names)
        },
    )
    notes = _notes(report)
    if equal is not None:
        listed, total = _duplicates(items, equal)
        report = replace(report, duplicates=listed)
        repeated = int((np.bincount(equal)[equal] > 1).sum())
        if repeated > _OFTEN * len(items):
            notes.append(
                f"{repeated} of {len(items)} items equal another one and stay with it; if that is "
                "chance, for few columns of few values, pass duplicates='ignore'"
            )
        if total > len(listed):
            notes.append(f"{total} sets of exact duplicates, of which {len(listed)} are listed")
    if isinstance(data, ImageSet):
        pairs, unchecked = look_alikes(data, test)
        report = replace(report, near_duplicates=pairs)
        if unchecked:
            notes.append(f"{unchecked} more pairs may look alike; they were not compared")
    return sides, replace(report, notes=tuple(notes))


def _by_time(
    items: Items, count: int, time: Any, group: Any, seed: int
) -> tuple[Sides, SplitReport]:
    """Let the latest items be the test side."""
    if group not in ("auto", None):
        raise InvalidInput("time= parts by time alone; leave out group=")
    moments = items.values(time, "time")
    # Text in ISO 8601 sorts as its moments do; what has no order is refused by sorting itself.
    missing = np.array([value is None or value != value for value in moments.tolist()])
    if missing.any():
        raise InvalidInput(f"time= has {int(missing.sum())} items without a moment")
    try:
        latest = np.sort(moments)[-count]
    except TypeError as error:
        raise InvalidInput(f"time= holds values that have no common order: {error}") from error
    test = moments >= latest
    if test.all():
        raise InvalidInput(
            f"the latest {count} items begin with the first moment, {latest}; nothing is left to "
            "train on: choose a smaller test_size"
        )
    report = SplitReport(
        train=int((~test).sum()),
        test=int(test.sum()),
        wanted=count,
        seed=seed,
        grouped_by=None,
        groups=len(items),
        ordered_by=time if isinstance(time, str) else "the given moments",
        notes=(f"the test side begins at {latest}",),
    )
    return (np.flatnonzero(~test), np.flatnonzero(test)), report


def _test_count(items: int, test_size: float) -> int:
    if items < 2:
        raise InvalidInput(f"a split needs two items or more; the data has {items}")
    whole = isinstance(test_size, int | np.integer) and not isinstance(test_size, bool)
    if whole and 1 <= test_size < items:
        return int(test_size)
    if isinstance(test_size, float | np.floating) and 0 < test_size < 1:
        # Rounded up as scikit-learn does, but not for the last bit of a product such as 0.1 * 30.
        return min(int(np.ceil(test_size * items - 1e-9)), items - 1)
    raise InvalidInput(
        f"test_size must be a share between 0 and 1, or a number of items from 1 to {items - 1}; "
        f"got {test_size!r}"
    )


def _joined(groups: NDArray[np.intp], equal: NDArray[np.intp]) -> NDArray[np.intp]:
    """Join the groups that share equal items, directly or through others."""
    first = int(groups.max()) + 1
    size = first + int(equal.max()) + 1
    edges = coo_array((np.ones(len(groups), dtype=np.int8), (groups, first + equal)), (size, size))
    _, component = connected_components(edges, directed=False)
    # Numbered as they first occur, so that equal data means equal numbers.
    _, place, joined = np.unique(component[groups], return_index=True, return_inverse=True)
    order = np.empty(len(place), dtype=np.intp)
    order[np.argsort(place)] = np.arange(len(place))
    return order[joined]


def _classes(labels: NDArray[Any] | None, items: int) -> tuple[NDArray[np.intp], list[str]]:
    """Return each item's class number, and the classes' names; one class where none are given."""
    if labels is None:
        return np.zeros(items, dtype=np.intp), []
    if labels.dtype.kind in "iuf" and len(np.unique(labels)) > _FEW_VALUES:
        values = labels.astype(np.float64)
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
        classes = np.searchsorted(edges, values, side="right")
        names = [
            f"{low:g} to {high:g}"
            for low, high in zip(
                [np.nanmin(values), *edges], [*edges, np.nanmax(values)], strict=True
            )
        ]
        return classes, names
    texts = np.array(["no label" if _missing(label) else str(label) for label in labels.tolist()])
    known, classes = np.unique(texts, return_inverse=True)
    return classes, known.tolist()


def _missing(label: Any) -> bool:
    return label is None or label != label


def _refuse_contradictions(items: Items, equal: NDArray[np.intp]) -> None:
    labels = items.labels()
    if labels is None:
        return
    said: dict[int, tuple[int, Any]] = {}
    found: list[str] = []
    for place, (digest, label) in enumerate(zip(equal.tolist(), labels.tolist(), strict=True)):
        first, other = said.setdefault(digest, (place, label))
        if other != label:
            found.append(f"{items.file(first)} ({other}) and {items.file(place)} ({label})")
    if found:
        more = f", and {len(found) - 5} more pairs" if len(found) > 5 else ""
        raise InvalidInput(
            f"these images are exactly equal but have different labels: {'; '.join(found[:5])}"
            f"{more}. Correct the labels, or leave these images out"
        )


def _one_group(items: Items, grouped_by: str | None, groups: NDArray[np.intp]) -> str:
    if groups.max() == 0:
        return (
            f"all {len(items)} items belong to one group by {grouped_by}, so no split keeps it on "
            "one side; add data of others, or pass group=None to part within it, which makes the "
            "test easier than new cases will be"
        )
    return (
        f"all {len(items)} items hang together through exact duplicates, so no split keeps equal "
        "ones on one side; remove the duplicates, or pass duplicates='ignore'"
    )


def _duplicates(items: Items, equal: NDArray[np.intp]) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Return the first sets of equal items, by name, and how many sets there are."""
    repeated = np.flatnonzero(np.bincount(equal) > 1)
    order = np.argsort(equal, kind="stable")
    starts = np.searchsorted(equal[order], repeated)
    ends = np.searchsorted(equal[order], repeated, side="right")
    sets = sorted(tuple(order[start:end].tolist()) for start, end in zip(starts, ends, strict=True))
    return tuple(tuple(map(items.name, places)) for places in sets[:_LISTED]), len(sets)


def _notes(report: SplitReport) -> list[str]:
    notes = []
    if report.test != report.wanted:
        notes.append(
            f"the test side was to have {report.wanted} items; whole groups give {report.test}"
        )
    for name, (train, test) in report.classes.items():
        if not train or not test:
            side = "training" if train else "test"
            notes.append(f"class {name!r} is on the {side} side only: it has too few groups")
    return notes
