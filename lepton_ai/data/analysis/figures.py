"""What a profile says of one column, as data."""

from datetime import datetime

from msgspec import Struct

from lepton_ai.data.analysis.columns import Kind

__all__ = ["ColumnProfile", "Dates", "Histogram", "Numbers", "Texts", "Value"]


class Value(Struct, frozen=True):
    """A value, or a pattern of text, and how many rows have it."""

    value: str
    count: int


class Histogram(Struct, frozen=True):
    """Counts between edges; ``edges`` has one more than ``counts``. The last bin is closed."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Numbers(Struct, frozen=True):
    """Figures of the finite numbers of a column; ``std`` is that of a sample (n - 1).

    Attributes:
        quantiles: by share, such as ``0.5`` for the median, linear between rows.
        outliers: values more than 1.5 times the interquartile range outside the quartiles.
        nan: how many are not a number; they count as missing.
        infinite: how many are infinite; no other figure counts them.
    """

    min: int | float | None
    max: int | float | None
    mean: float | None
    std: float | None
    skew: float | None
    quantiles: dict[float, float]
    zeros: int
    negative: int
    outliers: int
    nan: int
    infinite: int
    histogram: Histogram | None


class Texts(Struct, frozen=True):
    """Figures of text: lengths in characters, and its commonest patterns.

    A pattern writes ``A`` for capital letters, ``a`` for small ones and ``9`` for each digit.
    """

    shortest: int
    longest: int
    mean_length: float
    empty: int
    padded: int
    patterns: tuple[Value, ...]


class Dates(Struct, frozen=True):
    """Range and rhythm of dates.

    Attributes:
        step: seconds between one date and the next, the most frequent difference.
        gap: seconds of the longest stretch without a date, and when it began.
    """

    first: datetime
    last: datetime
    step: float | None
    gap: float | None
    gap_start: datetime | None
    histogram: Histogram | None


class ColumnProfile(Struct, frozen=True):
    """What one column holds.

    Attributes:
        type: its Polars type.
        kind: ``number``, ``boolean``, ``text``, ``date`` or ``other``.
        rows: how many values the figures are of.
        missing: null or not a number.
        distinct: different values that are not missing; None where they cannot be compared.
        notes: what to look at, in words.
    """

    name: str
    type: str
    kind: Kind
    rows: int
    missing: int
    distinct: int | None
    top: tuple[Value, ...]
    numbers: Numbers | None
    texts: Texts | None
    dates: Dates | None
    notes: tuple[str, ...]

    @property
    def histogram(self) -> Histogram | None:
        """The histogram of its numbers or dates; None of anything else."""
        found = self.numbers or self.dates
        return None if found is None else found.histogram

    @property
    def constant(self) -> bool:
        """Whether all values are equal, or there is none."""
        return self.distinct is not None and self.distinct < 2

    @property
    def two_valued(self) -> bool:
        """Whether it holds two different values, such as 0 and 1: neither of them is far out."""
        return self.distinct == 2

    @property
    def identifier(self) -> bool:
        """Whether the column names its rows, as a key does."""
        return any(note.startswith("names its rows") for note in self.notes)
