"""Records: objects of JSON as rows; a record whose values do not fit its columns is rejected."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.data.readers.kinds import Rows, kept, known
from lepton_ai.data.readers.nested import Unlike, common, type_of
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["Batch", "Record", "flat", "record_frames"]

Record = dict[str, Any]
_DEEPEST = 20
_TYPES: dict[type, Any] = {bool: pl.Boolean(), float: pl.Float64(), str: pl.String()}
_LARGE = pl.Decimal(38, 0)


class Batch(Struct, frozen=True):
    """Some records, and where each of them stands and how it read."""

    records: list[Record]
    located: Callable[[], Sequence[tuple[int, str]]]


def record_frames(
    batches: Callable[[Rejects], Iterable[Batch]],
    rejects: Rejects,
    *,
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield records as rows. A column is of the type that most of its values have.

    Integers may stand among floats; where one of them would lose digits, the column is text. What
    is nested becomes lists and structures; where those of a column have no type in common, it is
    kept as JSON.

    Args:
        batches: gives the records, twice, and rejects what is none.
        types: of columns that are to be read as text is; names of `readers.kinds.TYPES`.

    Raises:
        ValueError: there are no records.
    """
    columns: dict[str, _Column] = {}
    none = Rejects()
    for batch in batches(none):
        for name in dict.fromkeys(name for record in batch.records for name in record):
            columns.setdefault(name, _Column(name)).add(batch)
    if not columns:
        why = f": {none}" if none else ""
        raise ValueError(f"it holds no record with values{why}")
    said = known(types or {}, list(columns))
    for name in said:
        columns[name].settle(text=True)
    for column in columns.values():
        column.settle()
    for batch in batches(rejects):
        rows = _fitting(batch, list(columns.values()), rejects)
        yield kept(rows, said, rejects) if said else rows.frame


def flat(record: Record, prefix: str = "", depth: int = 0) -> Record:
    """Return a record whose nested objects are columns ``a.b``.

    Raises:
        ValueError: it is nested too deep, or two of its columns would have one name.
    """
    if depth > _DEEPEST:
        raise ValueError(f"its records are nested more than {_DEEPEST} deep")
    whole: Record = {}
    for name, value in record.items():
        nested = isinstance(value, dict)
        found = flat(value, f"{prefix}{name}.", depth + 1) if nested else {f"{prefix}{name}": value}
        if twice := sorted(found.keys() & whole.keys()):
            raise ValueError(f"its records have the columns {twice} twice once they are flat")
        whole |= found
    return whole


class _Column:
    """What the values of a column have been so far, and, once settled, what they are to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind: type | None = None
        self.type: Any = None
        self._counts: Counter[type] = Counter()
        self._shapes: dict[type, Any] = {}
        self._unlike: set[type] = set()
        self._large = False
        self._long = False

    @property
    def kind_name(self) -> str:
        """What an error calls the type."""
        return self.kind.__name__ if self.kind is not None else "null"

    def add(self, batch: Batch) -> None:
        """Count some more values."""
        values = [record.get(self.name) for record in batch.records]
        found = Counter(map(type, values))
        del found[type(None)]
        self._counts += found
        if int in found and not (self._large and self._long):
            whole = [value for value in values if type(value) is int]
            ends = min(whole), max(whole)
            self._large = self._large or not all(_whole(end, 63) for end in ends)
            if not all(_whole(end, 53) for end in ends):
                self._long = self._long or not all(map(_exact, whole))
        for kind in (dict, list):
            if kind in found and kind not in self._unlike:
                try:
                    alike = (value for value in values if type(value) is kind)
                    self._shapes[kind] = common(self._shapes.get(kind), alike)
                except Unlike:
                    self._unlike.add(kind)

    def settle(self, *, text: bool = False) -> None:
        """Choose the type that most values have; ``text``: that they are to be read as."""
        if self.type is not None:
            return
        counts = self._counts
        if text or not counts:
            self.kind, self.type = object, pl.String()
            return
        most = max(counts.values())
        self.kind = max(counts, key=lambda kind: counts[kind])
        if float in counts and counts[int] + counts[float] >= most:
            self.kind, self.type = (object, pl.String()) if self._long else (float, pl.Float64())
            return
        if self.kind in (dict, list):
            self.type = self._nested(self.kind)
        else:
            self.type = _TYPES.get(self.kind) or (_LARGE if self._large else pl.Int64())

    def _nested(self, kind: type) -> Any:
        """Return the type of lists or objects: text, where they have none in common."""
        try:
            return pl.String() if kind in self._unlike else type_of(self._shapes[kind])
        except Unlike:
            return pl.String()

    def wrong(self, values: list[Any]) -> list[int]:
        """Return the places of values that are of another type."""
        if self.kind is object:
            return []
        allowed = {type(None), self.kind} | ({int} if self.kind is float else set())
        if set(map(type, values)) <= allowed and (self.kind is not int or self._small(values)):
            return []
        return [
            place
            for place, value in enumerate(values)
            if type(value) not in allowed or (self.kind is int and not self._small([value]))
        ]

    def _small(self, values: list[Any]) -> bool:
        whole = [value for value in values if value is not None]
        low, high = (1 - 10**38, 10**38) if self.type == _LARGE else (-(2**63), 2**63)
        return not whole or (low <= min(whole) and max(whole) < high)

    def series(self, values: list[Any]) -> pl.Series:
        """Return values that fit as a column."""
        if self.type == pl.String and self.kind is not str:
            texts = [value if value is None else _text(value) for value in values]
            return pl.Series(self.name, texts, dtype=pl.String)
        if self.kind in (dict, list):
            rows = [{self.name: value} for value in values]
            column = pl.from_dicts(rows, schema={self.name: self.type}).to_series()
            # A table would give a missing list of records back as an empty one.
            records = self.type == pl.List and self.type.inner == pl.Struct
            return column.fill_null(pl.lit([], dtype=self.type)) if records else column
        if self.type == _LARGE:
            values = [value if value is None else Decimal(value) for value in values]
        elif self.kind is float:
            values = [value if value is None else float(value) for value in values]
        return pl.Series(self.name, values, dtype=self.type)


def _fitting(batch: Batch, columns: list[_Column], rejects: Rejects) -> Rows:
    records = batch.records
    lines: list[int] = []
    texts: list[str] = []
    bad: dict[int, str] = {}
    for column in columns:
        values = [record.get(column.name) for record in records]
        for place in column.wrong(values):
            told = f"{values[place]!r:.80}"
            reason = f"not {column.kind_name}: column {column.name!r} holds {told}"
            bad.setdefault(place, reason)
    if bad or rejects.keep:
        located = batch.located()
        for place, reason in bad.items():
            rejects.add(located[place][0], reason, located[place][1])
        good = [place for place in range(len(records)) if place not in bad]
        records = [records[place] for place in good]
        lines = [located[place][0] for place in good]
        texts = [located[place][1] for place in good]
    made = [column.series([one.get(column.name) for one in records]) for column in columns]
    return Rows(pl.DataFrame(made), lines, texts)


def _whole(value: int, bits: int) -> bool:
    return bool(-(2**bits) <= value < 2**bits)


def _exact(value: int) -> bool:
    """Whether a float holds an integer as it is."""
    return _whole(value, 1000) and int(float(value)) == value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
