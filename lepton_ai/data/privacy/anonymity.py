"""Anonymity: how alike people are in a table, and making them alike enough.

Sources: L. Sweeney, "k-anonymity", IJUFKS 10 (2002); A. Machanavajjhala et al., "l-diversity",
TKDD 1 (2007); N. Li et al., "t-closeness", ICDE 2007; K. LeFevre et al., "Mondrian
multidimensional k-anonymity", ICDE 2006.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.frames import frame_of
from lepton_ai.data.table import Table

__all__ = ["Anonymised", "Anonymity", "anonymise", "measure_anonymity"]

_LISTED = 10


class Anonymity(Struct, frozen=True):
    """How well people are hidden among each other.

    Attributes:
        rows: of the table.
        classes: groups of rows that are equal in all quasi-identifiers.
        k: rows in the smallest group; 1 means that someone stands alone.
        unique: rows that stand alone.
        l: the fewest different values of a sensitive column in any group, by column.
        t: the greatest distance (total variation, 0 to 1) of a group's distribution of a
            sensitive column from that of all rows, by column.
        smallest: sizes of the smallest groups, no values.
    """

    rows: int
    classes: int
    k: int
    unique: int
    l: dict[str, int]  # noqa: E741 (the letter that the literature has)
    t: dict[str, float]
    smallest: tuple[int, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.rows} rows in {self.classes} groups; k = {self.k}; {self.unique} stand alone"
        ]
        lines += [f"  {name}: l = {self.l[name]}, t = {self.t[name]:.2f}" for name in self.l]
        return "\n".join(lines)


class Anonymised(Struct, frozen=True):
    """A table in which nobody stands alone.

    Attributes:
        frame: the rows that are left, quasi-identifiers as text: ``20 - 34`` or ``a | b``.
        suppressed: rows that had to be left out.
        loss: normalised certainty penalty, 0 (as it was) to 1 (nothing told), by column.
        before: as it was measured first; ``after`` is measured on the result.
    """

    frame: pl.DataFrame
    suppressed: int
    loss: dict[str, float]
    before: Anonymity
    after: Anonymity


def measure_anonymity(data: Any, quasi: Sequence[str], sensitive: Sequence[str] = ()) -> Anonymity:
    """Measure k-anonymity, l-diversity and t-closeness.

    Args:
        quasi: columns that together may tell who someone is: age, sex, postal code.
        sensitive: columns whose value should not follow from the group.

    Raises:
        InvalidInput: a column is missing, or in both lists.
        AccessDenied: whoever opened the table sees one of them masked.
    """
    frame = _frame(data, quasi, sensitive)
    groups = frame.group_by(list(quasi)).agg(
        pl.len().alias("_size"),
        *(pl.col(name).n_unique().alias(f"_l {name}") for name in sensitive),
    )
    sizes = groups["_size"].sort()
    return Anonymity(
        rows=frame.height,
        classes=groups.height,
        k=int(sizes[0]) if len(sizes) else 0,
        unique=int((sizes == 1).sum()),
        l={name: _least(groups[f"_l {name}"]) for name in sensitive},
        t={name: _distance(frame, list(quasi), name) for name in sensitive},
        smallest=tuple(sizes.head(_LISTED).to_list()),
    )


def anonymise(
    data: Any,
    quasi: Sequence[str],
    *,
    k: int = 5,
    l: int = 1,  # noqa: E741
    sensitive: Sequence[str] = (),
    suppress: float = 0.05,
) -> Anonymised:
    """Make each person equal to at least k - 1 others in all quasi-identifiers.

    Mondrian: rows are halved at the median of the column whose range is widest, for as long as
    both halves keep k rows and l different sensitive values; each group then says ranges.

    Args:
        quasi: numbers, dates, booleans or text; text is ordered by the alphabet.
        k: rows in the smallest group.
        l: different values of each sensitive column in each group.
        suppress: the share of rows with an empty quasi-identifier that may be left out.

    Raises:
        InvalidInput: a column is missing, or k or l cannot be reached on these rows; the message
            says what can.
        AccessDenied: whoever opened the table sees one of the columns masked.
    """
    frame = _frame(data, quasi, sensitive)
    if k < 1 or l < 1 or not 0 <= suppress <= 1:
        raise InvalidInput(f"k and l begin at 1, suppress lies in 0 to 1; got {k}, {l}, {suppress}")
    if l > 1 and not sensitive:
        raise InvalidInput("l-diversity is about sensitive columns; name them: sensitive=[...]")
    before = measure_anonymity(frame, quasi, sensitive)
    kept = frame.drop_nulls(list(quasi))
    for name in quasi:
        if kept.schema[name].is_float():
            kept = kept.filter(pl.col(name).is_finite())
    lost = frame.height - kept.height
    if lost > suppress * frame.height:
        raise InvalidInput(
            f"{lost} of {frame.height} rows have an empty quasi-identifier, more than the share "
            f"{suppress} that may be left out; fill them first, or allow more"
        )
    if not _allowed(kept, k, l, sensitive):
        most = {name: kept[name].n_unique() for name in sensitive}
        raise InvalidInput(
            f"{kept.height} rows with {most} different sensitive values cannot be {k}-anonymous "
            f"and {l}-diverse; ask for less"
        )
    ranks = kept.select(
        pl.col(name).rank("dense").cast(pl.Int64).alias(name) for name in quasi
    ).with_row_index("_row")
    spans = {name: max(1, int(str(ranks[name].max())) - 1) for name in quasi}
    parts = _mondrian(ranks, kept, list(quasi), spans, k, l, sensitive)
    group = pl.Series("_group", [0] * kept.height, dtype=pl.Int64)
    for number, rows in enumerate(parts):
        group = group.scatter(rows, number)
    whole = kept.with_columns(group)
    loss = {
        name: float(
            ranks.with_columns(group)
            .select(((pl.col(name).max() - pl.col(name).min()).over("_group") / spans[name]).mean())
            .item()
        )
        for name in quasi
    }
    told = whole.with_columns(_range(name, whole.schema[name]) for name in quasi).drop("_group")
    return Anonymised(told, lost, loss, before, measure_anonymity(told, quasi, sensitive))


def _mondrian(
    ranks: pl.DataFrame,
    frame: pl.DataFrame,
    quasi: list[str],
    spans: dict[str, int],
    k: int,
    l: int,  # noqa: E741
    sensitive: Sequence[str],
) -> list[pl.Series]:
    """Return the rows of each group."""
    done: list[pl.Series] = []
    ahead = [ranks]
    while ahead:
        part = ahead.pop()
        widths = {
            name: (int(str(part[name].max())) - int(str(part[name].min()))) / spans[name]
            for name in quasi
        }
        for name in sorted(quasi, key=lambda one: -widths[one]):
            if not widths[name]:
                continue
            halves = _halves(part, name)
            if halves is not None and all(
                _allowed(frame[half["_row"]], k, l, sensitive) for half in halves
            ):
                ahead += halves
                break
        else:
            done.append(part["_row"])
    return done


def _halves(part: pl.DataFrame, name: str) -> list[pl.DataFrame] | None:
    """Cut at the median; equal values stay together, so that groups do not overlap."""
    middle = part[name].median()
    low = part.filter(pl.col(name) <= middle)
    if low.height == part.height:
        low = part.filter(pl.col(name) < middle)
    if low.is_empty():
        return None
    return [low, part.join(low.select("_row"), on="_row", how="anti")]


def _allowed(frame: pl.DataFrame, k: int, l: int, sensitive: Sequence[str]) -> bool:  # noqa: E741
    return frame.height >= k and all(frame[name].n_unique() >= l for name in sensitive)


def _range(name: str, kind: Any) -> pl.Expr:
    """Write what a group holds of a column: its range, or of text its values."""
    column = pl.col(name)
    if kind in (pl.String, pl.Boolean, pl.Categorical) or isinstance(kind, pl.Enum):
        text = column.cast(pl.String)
        return text.unique().sort().str.join(" | ").over("_group").alias(name)
    low, high = column.min().cast(pl.String), column.max().cast(pl.String)
    one = pl.when(column.min() == column.max()).then(low).otherwise(low + " - " + high)
    return one.over("_group").alias(name)


def _distance(frame: pl.DataFrame, quasi: list[str], name: str) -> float:
    if frame.is_empty():
        return 0.0
    whole = frame.group_by(name).agg((pl.len() / frame.height).alias("_all"))
    inside = (
        frame.group_by([*quasi, name])
        .agg(pl.len().alias("_n"))
        .with_columns((pl.col("_n") / pl.col("_n").sum().over(quasi)).alias("_here"))
        .join(whole, on=name, nulls_equal=True)
    )
    # What a group lacks altogether counts for all that the others have more of.
    more = (pl.col("_here") - pl.col("_all")).clip(lower_bound=0).sum()
    return float(str(inside.group_by(quasi).agg(more.alias("_t"))["_t"].max()))


def _least(column: pl.Series) -> int:
    return int(str(column.min())) if len(column) else 0


def _frame(data: Any, quasi: Sequence[str], sensitive: Sequence[str]) -> pl.DataFrame:
    if isinstance(data, Table):
        # Masked values are all alike, so everybody would seem hidden.
        data.require([*quasi, *sensitive], "measure anonymity")
        frame = data.to_polars()
    else:
        frame = frame_of(data)
    unknown = [name for name in (*quasi, *sensitive) if name not in frame.columns]
    if unknown or not quasi:
        raise InvalidInput(f"name quasi-identifiers among {frame.columns}; unknown: {unknown}")
    both = set(quasi) & set(sensitive)
    if both:
        raise InvalidInput(f"{sorted(both)} cannot be quasi-identifier and sensitive at once")
    return frame
