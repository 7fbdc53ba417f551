"""report: the whole analysis of a dataset on one page."""

from collections.abc import Callable
from html import escape
from typing import Any

from msgspec.structs import replace

from lepton_ai.core.errors import InvalidInput, MissingExtra
from lepton_ai.core.progress import track
from lepton_ai.data.analysis.association import target_associations
from lepton_ai.data.analysis.balance import class_balance
from lepton_ai.data.analysis.clustering import clusters
from lepton_ai.data.analysis.columns import is_classes, outcome_of
from lepton_ai.data.analysis.correlation import correlations
from lepton_ai.data.analysis.decomposition import decompose
from lepton_ai.data.analysis.leakage import leakage_suspects
from lepton_ai.data.analysis.page import anchor, document, section
from lepton_ai.data.analysis.profiling import profile
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.rules import association_rules
from lepton_ai.data.analysis.source import Source
from lepton_ai.data.analysis.unusual import anomalies
from lepton_ai.storage import Workspace

__all__ = ["Report", "report"]

_ROWS = 20_000  # of a picture of the whole; each analysis by itself looks at more
_WIDEST = 200  # columns that are compared with each other; a picture of more shows nothing
_COMBINED = 100  # columns whose values are combined to rules, three ranges of a number each


class Report(Result, frozen=True, eq=False):
    """Every analysis of one dataset.

    Attributes:
        target: the column that was to be explained, None where there was none.
        parts: what was found, by title; text where an analysis could not be made, and why.
    """

    target: str | None
    parts: dict[str, Any]

    def to_html(self) -> str:
        """Return one page that needs nothing else: no script, font, file or network."""
        links = " ".join(f"<a href='#{anchor(title)}'>{escape(title)}</a>" for title in self.parts)
        about = f"<p>{escape(self.sampled)}</p><nav>{links}</nav>"
        title = f"Analysis of {self.subject}"
        body = "".join(section(title, _part(found)) for title, found in self.parts.items())
        return document(title, f"<h1>{escape(title)}</h1>{about}{body}")

    def _repr_html_(self) -> str:
        return "".join(section(title, _part(found)) for title, found in self.parts.items())

    def text(self) -> str:
        """Return what is printed."""
        return "\n\n".join(f"{title.upper()}\n{found}" for title, found in self.parts.items())


def report(
    data: Any,
    target: str | None = None,
    *,
    time: str | None = None,
    value: str | None = None,
    period: int | None = None,
    rows: int | None = None,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Report:
    """Analyse a dataset: its columns, what goes together, groups, unusual rows, rules.

    With a target also how its classes are balanced, what goes with it and what may give it away;
    it takes no part in the groups. With a value also its trend and seasons. Of a wide table the 200
    columns are compared that go with the target most, or the first.

    Args:
        data: a table, a dataset's name, a frame.
        target: the column that a model is to predict.
        time: the column of dates at which a prediction would be made, for suspects of leakage;
            it orders the rows where a value is taken apart.
        value: a column of numbers to take apart into trend, seasons and rest.
        period: steps of its season; those that are found, unless given.
        rows: the most that the profile looks at, all unless given; the rest look at 20,000.
        seed: for every draw.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there is no such column, or a period of no value.
        NotFound: there is no such dataset.
    """
    if period is not None and value is None:
        raise InvalidInput("a period is that of a value; name its column: value, or --value")
    source = Source(data, workspace)
    source.check([name for name in (target, time, value) if name is not None])
    sample = source.sample(_ROWS, seed)
    part = source.of(sample)
    chosen = _chosen(part, target)
    wide = source.of(replace(sample, frame=sample.frame.select(chosen)))
    few = source.of(replace(sample, frame=sample.frame.select(chosen[:_COMBINED])))
    others = [name for name in chosen if name != target]
    made: dict[str, Callable[[], Any]] = {
        "Columns": lambda: profile(source, rows=rows, seed=seed),
    }
    if target is not None:
        goal = target
        if _has_classes(part, goal):
            made["Class balance"] = lambda: class_balance(source, goal)
        made["Goes with the target"] = lambda: target_associations(part, goal)
        made["May give the target away"] = lambda: leakage_suspects(part, goal, time=time)
    made["Correlations"] = lambda: correlations(wide)
    made["Groups"] = lambda: clusters(wide, columns=others, seed=seed)
    made["Unusual rows"] = lambda: anomalies(wide, columns=others, seed=seed)
    made["Rules"] = lambda: association_rules(few, target=target)
    if value is not None:
        series = value
        made["Over time"] = lambda: decompose(source, series, time=time, periods=period)
    parts = {
        title: _tried(make) for title, make in track(made.items(), "analysing", total=len(made))
    }
    note = f"{source.rows:,} rows"
    if sample.frame.height < source.rows:
        note += f"; all but columns and balance from {sample.note}"
    if len(chosen) < len(source.columns):
        note += (
            f"; correlations, groups and unusual rows from {len(chosen)} of the "
            f"{len(source.columns):,} columns, rules from {_COMBINED}"
        )
    return Report(source.name, note, target, parts)


def _chosen(source: Source, target: str | None) -> list[str]:
    """Return the columns to compare with each other, the target first."""
    names = source.columns
    if len(names) <= _COMBINED:
        return names
    if target is None:
        return names[:_WIDEST]
    try:
        items = target_associations(source, target).items
    except InvalidInput:
        return [target, *(name for name in names if name != target)][:_WIDEST]
    return [target, *(item.column for item in items)][:_WIDEST]


def _has_classes(source: Source, target: str) -> bool:
    try:
        return is_classes(outcome_of(source, source.read([target]), target))
    except InvalidInput:
        return False


def _tried(make: Callable[[], Any]) -> Any:
    """Return what an analysis found, or why it cannot be made."""
    try:
        return make()
    except (InvalidInput, MissingExtra) as error:
        return f"not made: {error}"


def _part(found: Any) -> str:
    if isinstance(found, str):
        return f"<p>{escape(found)}</p>"
    html: str = found._repr_html_()
    return html
