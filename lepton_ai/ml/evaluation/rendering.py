"""How an evaluation shows itself: as text, in a terminal, in a notebook."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from lepton_ai.ml.evaluation.figures import Figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group


__all__ = ["html", "terminal", "text"]

_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def text(evaluation: Figures) -> str:
    """Return the evaluation as lines of plain text."""
    lines = [_title(evaluation), *_notes(evaluation), ""]
    lines += [f"  {name:<20} {value:>7}  {interval}" for name, value, interval in _rows(evaluation)]
    table = _classes(evaluation)
    widths = [2 + max(len(row[place]) for row in table) for place in range(len(table[0]))]
    lines += ["", *("".join(map(str.rjust, row, widths)) for row in table)]
    return "\n".join(lines)


def terminal(evaluation: Figures) -> "Group":
    """Return the evaluation as tables of rich."""
    from rich.console import Group
    from rich.markup import escape as escape_markup
    from rich.table import Table
    from rich.text import Text

    figures = Table("figure", "value", f"{evaluation.confidence:.0%} interval", box=None)
    for figure in _rows(evaluation):
        figures.add_row(*figure)
    head, *rest = _classes(evaluation)
    classes = Table(*map(escape_markup, head), box=None)
    for row in rest:
        classes.add_row(*map(escape_markup, row))
    notes = [Text(note, style="bold red") for note in _notes(evaluation)]
    return Group(Text(_title(evaluation), style="bold"), *notes, figures, Text(""), classes)


def html(evaluation: Figures) -> str:
    """Return the evaluation as HTML, with the confusion matrix and the ROC curve as pictures."""
    from lepton_ai.ml.evaluation import plots

    notes = "".join(f"<p><strong>{escape(note)}</strong></p>" for note in _notes(evaluation))
    head = ("figure", "value", f"{evaluation.confidence:.0%} interval")
    pictures = _picture(plots.confusion(evaluation))
    if evaluation.roc:
        pictures += _picture(plots.roc(evaluation))
    return (
        f"<div><p>{escape(_title(evaluation))}</p>{notes}{_table([head, *_rows(evaluation)])}"
        f"{_table(_classes(evaluation))}{pictures}</div>"
    )


def _title(evaluation: Figures) -> str:
    groups = f" of {evaluation.groups} groups" if evaluation.groups is not None else ""
    data = f" on {evaluation.data}" if evaluation.data else ""
    about = f", positive class {evaluation.positive}" if evaluation.positive is not None else ""
    return f"{evaluation.model or 'model'}{data}: {evaluation.rows} rows{groups}{about}"


def _notes(evaluation: Figures) -> list[str]:
    if not evaluation.seen:
        return []
    return [f"{evaluation.seen} of the rows were trained on: these figures are not honest"]


def _rows(evaluation: Figures) -> list[tuple[str, str, str]]:
    rows = []
    for field, name in _NAMES.items():
        value = getattr(evaluation, field)
        low_high = evaluation.intervals.get(field)
        interval = f"{low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else ""
        rows.append((name, "-" if value is None else f"{value:.3f}", interval))
    return rows


def _classes(evaluation: Figures) -> list[list[str]]:
    """A line for each true class: its figures, then how often it was given each label."""
    head = ["class", "rows", "precision", "recall", "F1", "AUC"]
    lines = [[*head, *(f"as {label}" for label in evaluation.classes)]]
    for item, counts in zip(evaluation.per_class, evaluation.confusion, strict=True):
        area = "-" if item.auc is None else f"{item.auc:.3f}"
        figures = (f"{item.precision:.3f}", f"{item.recall:.3f}", f"{item.f1:.3f}", area)
        lines.append([item.label, str(item.support), *figures, *map(str, counts)])
    return lines


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rest
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _picture(figure: "Figure") -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return f'<img src="data:image/png;base64,{b64encode(buffer.getvalue()).decode()}" alt="">'
