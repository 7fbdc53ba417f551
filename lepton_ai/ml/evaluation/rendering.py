"""How an evaluation shows itself: as text, in a terminal, in a notebook, as a page."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import fields

from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.analysis.page import document, facts, picture, section, table
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.shown import Columns, between, printable, slices_shown, written

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from lepton_ai.ml.evaluation.comparison import Comparison

__all__ = [
    "comparison_html",
    "comparison_page",
    "comparison_terminal",
    "comparison_text",
    "html",
    "page",
    "terminal",
    "text",
]

_BOXES = 5


class Tabled(Protocol):
    """What is shown as a line and tables: a comparison, a leaderboard."""

    def title(self) -> str:
        """Return what it is about."""

    def tables(self) -> list[Columns]:
        """Return what it shows."""


def text(evaluation: Evaluation) -> str:
    """Return the evaluation as lines of plain text."""
    lines = [_title(evaluation), *_notes(evaluation), ""]
    rows = _rows(evaluation)
    widest = max((len(name) for name, _, _ in rows), default=0)
    lines += [f"  {name:<{widest}} {value:>9}  {ends}" for name, value, ends in rows]
    return "\n".join([*lines, *_lines(_tables(evaluation))])


def terminal(evaluation: Evaluation) -> "Group":
    """Return the evaluation as tables of rich."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    figures = Table("figure", "value", f"{evaluation.confidence:.0%} interval", box=None)
    for figure in _rows(evaluation):
        figures.add_row(*figure)
    parts: list[RenderableType] = [Text(_title(evaluation), style="bold")]
    parts += [Text(note, style="bold red") for note in _notes(evaluation)]
    parts.append(figures)
    return Group(*parts, *_drawn(_tables(evaluation)))


def html(evaluation: Evaluation) -> str:
    """Return the evaluation as HTML with its first two plots, for a notebook."""
    notes = "".join(f"<p><strong>{escape(note)}</strong></p>" for note in _notes(evaluation))
    tables = "".join(table(t.head, t.rows, t.numbers) for t in _tables(evaluation))
    pictures = "".join(picture(draw()) for draw in list(evaluation.plots().values())[:2])
    return (
        f"<div><p>{escape(_title(evaluation))}</p>{notes}{_figures(evaluation)}{tables}"
        f"{pictures}</div>"
    )


def page(evaluation: Evaluation) -> str:
    """Return the evaluation as a whole page that needs nothing else."""
    title = f"Evaluation of {evaluation.model or 'a model'}"
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in _notes(evaluation))
    boxes = [("rows", f"{evaluation.rows:,}")]
    boxes += [(name, value) for name, value, _ in _rows(evaluation)[:_BOXES]]
    body = f"<h1>{escape(title)}</h1><p>{escape(_title(evaluation))}</p>{notes}{facts(boxes)}"
    said = f"Intervals hold the middle {evaluation.confidence:.0%} of bootstrap resamples" + (
        f" of whole groups, {evaluation.groups} of them." if evaluation.groups else "."
    )
    body += section("Figures", _figures(evaluation), said)
    body += _plots(evaluation.plots())
    for shown in _tables(evaluation):
        body += section(shown.title, table(shown.head, shown.rows, shown.numbers))
    return document(title, body)


def comparison_text(found: Tabled) -> str:
    """Return a comparison as lines of plain text."""
    return "\n".join([printable(found.title()), *_lines(found.tables())])


def comparison_terminal(found: Tabled) -> "Group":
    """Return a comparison as tables of rich."""
    from rich.console import Group
    from rich.text import Text

    return Group(Text(printable(found.title()), style="bold"), *_drawn(found.tables()))


def comparison_html(found: Tabled) -> str:
    """Return a comparison as HTML, for a notebook."""
    tables = "".join(table(t.head, t.rows, t.numbers) for t in found.tables() if t.rows)
    return f"<div><p>{escape(found.title())}</p>{tables}</div>"


def comparison_page(found: "Comparison") -> str:
    """Return a comparison as a whole page that needs nothing else."""
    body = f"<h1>{escape(found.first)} against {escape(found.second)}</h1>"
    body += f"<p>{escape(found.title())}</p>"
    for shown in found.tables():
        if shown.rows:
            body += section(shown.title, table(shown.head, shown.rows, shown.numbers))
    return document(f"{found.first} against {found.second}", body)


def _lines(tables: Sequence[Columns]) -> list[str]:
    lines = []
    for shown in tables:
        if shown.rows:
            lines += [
                "",
                printable(shown.title),
                _indented(aligned(shown.head, shown.rows, shown.numbers)),
            ]
    return lines


def _drawn(tables: Sequence[Columns]) -> "list[RenderableType]":
    from rich.markup import escape as escape_markup
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for shown in tables:
        if not shown.rows:
            continue
        drawn = Table(box=None)
        for place, name in enumerate(shown.head):
            numeric = place in shown.numbers
            drawn.add_column(escape_markup(printable(name)), justify="right" if numeric else "left")
        for row in shown.rows:
            drawn.add_row(*(escape_markup(printable(cell)) for cell in row))
        parts += [Text(f"\n{printable(shown.title)}", style="bold"), drawn]
    return parts


def _plots(plots: dict[str, Plot]) -> str:
    drawn = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{picture(draw())}</figure>"
        for name, draw in plots.items()
    )
    style = (
        "<style>.plots { display: grid; gap: 1rem; "
        "grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)) } "
        "figure { margin: 0; break-inside: avoid } "
        "figcaption { color: var(--soft); font-size: .85rem; margin: 0 0 .3rem }</style>"
    )
    return section("Plots", f"{style}<div class='plots'>{drawn}</div>") if drawn else ""


def _figures(evaluation: Evaluation) -> str:
    head = ("figure", "value", f"{evaluation.confidence:.0%} interval")
    return table(head, _rows(evaluation), (1, 2))


def _title(evaluation: Evaluation) -> str:
    groups = f" of {evaluation.groups} groups" if evaluation.groups is not None else ""
    data = f" on {evaluation.data}" if evaluation.data else ""
    about = f", {evaluation.about()}" if evaluation.about() else ""
    title = f"{evaluation.model or 'model'}{data}: {evaluation.rows} rows{groups}{about}"
    return printable(title)


def _notes(evaluation: Evaluation) -> list[str]:
    if not evaluation.seen:
        return []
    return [f"{evaluation.seen} of the rows were trained on: these figures are not honest"]


def _rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    figures = evaluation.figures
    # What an evaluation can do without is shown where it was measured; the rest always.
    optional = {field.name for field in fields(evaluation) if field.default is None}
    return [
        (
            name.title,
            written(figures[field], name.percent),
            between(evaluation.intervals.get(field), name.percent, figures[field]),
        )
        for field, name in evaluation.names.items()
        if figures[field] is not None or field not in optional
    ]


def _tables(evaluation: Evaluation) -> list[Columns]:
    sliced = [
        slices_shown(part, evaluation.names, evaluation.sliced, evaluation.chief)
        for part in evaluation.slices
    ]
    return [*evaluation.tables(), *(shown for pair in sliced for shown in pair)]


def _indented(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.splitlines())
