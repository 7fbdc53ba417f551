"""Cards: what each column of a profile holds, as part of a page."""

from html import escape
from typing import TYPE_CHECKING

from lepton_ai.data.analysis.figures import ColumnProfile
from lepton_ai.data.analysis.lines import figure, share_of
from lepton_ai.data.analysis.page import bars, facts

if TYPE_CHECKING:
    from lepton_ai.data.analysis.profiling import Profile

__all__ = ["cards"]

_CARDS = 500


def cards(profile: "Profile") -> str:
    """Return the figures of the whole and a card for each column."""
    noted = sum(bool(column.notes) for column in profile.columns)
    whole = facts(
        [
            ("rows", f"{profile.rows:,}"),
            ("columns", f"{len(profile.columns):,}"),
            ("of the values missing", share_of(profile.missing)),
            ("columns to look at", f"{noted:,}"),
        ]
    )
    if profile.described < profile.rows:
        whole += f"<p>Figures of {escape(profile.sampled)}.</p>"
    shown = "".join(_card(column) for column in profile.columns[:_CARDS])
    more = len(profile.columns) - _CARDS
    return whole + shown + (f"<p>and {more:,} more columns</p>" if more > 0 else "")


def _card(column: ColumnProfile) -> str:
    """Return what one column holds."""
    notes = "".join(f"<span class='note'>{escape(note)}</span>" for note in column.notes)
    name = f"<h3>{escape(column.name)}</h3><span class='type'>{escape(column.type)}</span>"
    return (
        f"<div class='card'><div>{name}<br>{notes}</div>"
        f"<div>{_figures(column)}</div><div>{_picture(column)}</div></div>"
    )


def _figures(column: ColumnProfile) -> str:
    share = column.missing / column.rows if column.rows else 0.0
    rows = [("missing", f"{column.missing:,} ({share_of(share)})" if column.missing else "none")]
    if column.distinct is not None:
        rows.append(("different values", f"{column.distinct:,}"))
    if (numbers := column.numbers) is not None and numbers.mean is not None:
        middle = numbers.quantiles
        rows += [
            ("range", f"{figure(numbers.min)} to {figure(numbers.max)}"),
            ("mean ± spread", f"{figure(numbers.mean)} ± {figure(numbers.std)}"),
            ("quartiles", " · ".join(figure(middle[share]) for share in (0.25, 0.5, 0.75))),
        ]
        rows += [("zero", f"{numbers.zeros:,}")] if numbers.zeros else []
        far = numbers.outliers if not column.two_valued else 0
        rows += [("far outside", f"{far:,}")] if far else []
    if (texts := column.texts) is not None:
        short, long = f"{texts.shortest:,}", f"{texts.longest:,}"
        rows.append(("length", short if short == long else f"{short} to {long}"))
        rows.append(("pattern", ", ".join(p.value for p in texts.patterns[:3])))
    if (dates := column.dates) is not None:
        rows.append(("range", f"{dates.first:%Y-%m-%d %H:%M} to {dates.last:%Y-%m-%d %H:%M}"))
        if dates.step is not None and dates.gap is not None:
            rows.append(("step", _span(dates.step)))
            rows.append(("longest gap", _span(dates.gap)))
    return _pairs(rows)


def _picture(column: ColumnProfile) -> str:
    found = column.numbers or column.dates
    if found is not None and found.histogram is not None:
        label = f"histogram of {column.name}"
        return bars(found.histogram.counts, label=label)
    known = max(1, column.rows - column.missing)
    if column.top and column.top[0].count == 1:
        some = ", ".join(escape(item.value) for item in column.top[:3])
        return f"<span class='type'>each value once, such as {some}</span>"
    return "".join(
        f"<div class='share' style='--part:{100 * item.count / known:.1f}%'>"
        f"<span>{escape(item.value) or '&nbsp;'}</span><span>{item.count / known:.1%}</span></div>"
        for item in column.top[:5]
    )


def _pairs(rows: list[tuple[str, str]]) -> str:
    lines = "".join(
        f"<tr><td class='soft'>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{lines}</table>"


def _span(seconds: float) -> str:
    units = (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0))
    name, size = next((unit for unit in units if seconds >= unit[1]), ("second", 1.0))
    count = f"{seconds / size:.4g}"
    return f"{count} {name}{'' if count == '1' else 's'}"
