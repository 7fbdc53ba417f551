"""How an explanation shows itself: as text, in a terminal, in a notebook, as a page."""

from html import escape
from typing import TYPE_CHECKING

from lepton_ai.data.analysis.lines import aligned, figure
from lepton_ai.data.analysis.page import document, facts, picture, section, table
from lepton_ai.ml.evaluation.shown import Columns, printable, written
from lepton_ai.ml.explanation.basis import Value
from lepton_ai.ml.explanation.explanation import Explanation

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["html", "page", "said", "tables", "terminal", "text"]

_MOST = 20
_BAR = 24


def said(value: Value) -> str:
    """Return a value of a record as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return printable(str(value))
    return figure(value)


def _title(found: Explanation) -> str:
    return printable(f"{found.model}: {found.about}, {found.space} {written(found.answer)}")


def _told(found: Explanation) -> str:
    return f"By {found.method}, from a base of {written(found.base)}."


def tables(found: Explanation, *, bars: bool = True) -> list[Columns]:
    """Return the tables of an explanation.

    Args:
        found: the explanation.
        bars: whether contributions are drawn with marks.
    """
    shown = found.contributions[:_MOST]
    most = max((abs(item.contribution) for item in shown), default=0.0)
    sampled = any(item.error is not None for item in shown)
    head = ["column", "value", "contribution"] + (["+/-"] if sampled else [])
    head += ["" if bars else " "] if bars else []
    rows = []
    for item in shown:
        row = [item.column, said(item.value), f"{item.contribution:+.4g}"]
        row += [f"{item.error or 0:.2g}"] if sampled else []
        if bars:
            mark = "+" if item.contribution > 0 else "-"
            row.append(mark * (round(_BAR * abs(item.contribution) / most) if most else 0))
        rows.append(row)
    if len(found.contributions) > _MOST:
        rest = sum(item.contribution for item in found.contributions[_MOST:])
        last = [f"{len(found.contributions) - _MOST} more", "", f"{rest:+.4g}"]
        rows.append(last + [""] * (len(head) - 3))
    given = [Columns("Contributions", head, rows, (2, 3) if sampled else (2,))]
    if found.path:
        steps = [[str(n + 1), each.rule, figure(each.value)] for n, each in enumerate(found.path)]
        given.append(Columns("The path through the tree", ["", "rule", "value"], steps, (2,)))
    if found.evidence:
        given.append(_evidence(found))
    return given


def _evidence(found: Explanation) -> Columns:
    """Return prior times likelihoods, as logarithms, a column for each class."""
    classes = found.evidence
    rows = [["log prior", *(f"{each.prior:.4g}" for each in classes)]]
    for item in found.contributions[:_MOST]:
        name = item.column
        rows.append([f"log likelihood of {name}", *(f"{e.likelihoods[name]:.4g}" for e in classes)])
    if len(found.contributions) > _MOST:
        left = [item.column for item in found.contributions[_MOST:]]
        sums = (f"{sum(e.likelihoods[name] for name in left):.4g}" for e in classes)
        rows.append([f"log likelihood of {len(left)} more", *sums])
    rows.append(["sum: log posterior, not normalised", *(f"{e.joint:.4g}" for e in classes)])
    rows.append(["posterior", *(written(e.probability) for e in classes)])
    return Columns(
        "Prior times likelihoods", ["", *(e.label for e in classes)], rows,
        range(1, len(classes) + 1),
    )  # fmt: skip


def text(found: Explanation) -> str:
    """Return the explanation as lines of plain text."""
    lines = [_title(found), _told(found), *map(printable, found.notes)]
    for shown in tables(found):
        lines += ["", shown.title, aligned(shown.head, shown.rows, shown.numbers)]
    return "\n".join(lines)


def terminal(found: Explanation) -> "Group":
    """Return the explanation as tables of rich."""
    from rich.console import Group
    from rich.markup import escape as escape_markup
    from rich.table import Table
    from rich.text import Text

    parts: list[Text | Table] = [Text(_title(found), style="bold"), Text(_told(found))]
    parts += [Text(printable(note)) for note in found.notes]
    for shown in tables(found):
        drawn = Table(box=None)
        for place, name in enumerate(shown.head):
            right = place in shown.numbers
            drawn.add_column(escape_markup(printable(name)), justify="right" if right else "left")
        for row in shown.rows:
            style = (
                {"+": "green", "-": "red"}.get(row[-1][:1]) if row[-1:] and len(row) > 3 else None
            )
            cells = [escape_markup(printable(cell)) for cell in row]
            if style and set(row[-1]) <= {"+", "-"}:
                cells[-1] = f"[{style}]{cells[-1]}[/{style}]"
            drawn.add_row(*cells)
        parts += [Text(f"\n{shown.title}", style="bold"), drawn]
    return Group(*parts)


def html(found: Explanation) -> str:
    """Return the explanation as HTML with its plots, for a notebook."""
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    drawn = "".join(picture(each) for each in found.plots().values())
    written_out = "".join(
        f"<p>{escape(each.title)}</p>{table(each.head, each.rows, each.numbers)}"
        for each in tables(found, bars=False)
    )
    return (
        f"<div><p>{escape(_title(found))}</p><p>{_told(found)}</p>{notes}{drawn}{written_out}</div>"
    )


def page(found: Explanation) -> str:
    """Return the explanation as a whole page that needs nothing else."""
    boxes = [("answer", written(found.answer)), ("base", written(found.base))]
    boxes.append(("space", found.space))
    if found.prediction_id:
        boxes.append(("receipt", found.prediction_id))
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in found.notes)
    body = f"<h1>Why {escape(found.about)}?</h1><p>{escape(_title(found))}</p>"
    body += notes + facts(boxes)
    pictures = "".join(picture(each) for each in found.plots().values())
    body += section(
        "Plots", pictures, f"{_told(found)} Base and contributions add up to the answer."
    )
    for shown in tables(found, bars=False):
        body += section(shown.title, table(shown.head, shown.rows, shown.numbers))
    return document(f"Explanation of {found.model}", body)
