"""The picture of a recipe: its steps as a flow, in SVG."""

from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lepton_ai.data.recipes.recipe import Recipe

__all__ = ["draw"]

_WIDTH, _LINE, _GAP = 560, 17, 22
# Of steps that learn, that change rows, and of the others; told apart without colour by the mark.
_COLOURS = {"learns": "#dbeafe", "rows": "#fef3c7", "": "#f3f4f6"}
_MARKS = {"learns": "learns from training rows", "rows": "training rows only", "": ""}


def draw(recipe: "Recipe") -> str:
    """Return the flow as SVG, one box a step."""
    parts: list[str] = []
    top = 16
    for number, step in enumerate(recipe.steps, 1):
        kind = "rows" if step.rows else "learns" if step.learns else ""
        lines = wrap(step.explain(), 74)[:6] or [""]
        height = 34 + _LINE * len(lines)
        if number > 1:
            parts.append(
                f'<path d="M{_WIDTH / 2} {top - _GAP} v{_GAP - 5}" stroke="#6b7280" '
                'stroke-width="1.5" marker-end="url(#tip)"/>'
            )
        parts.append(
            f'<rect x="10" y="{top}" width="{_WIDTH - 20}" height="{height}" rx="7" '
            f'fill="{_COLOURS[kind]}" stroke="#9ca3af"/>'
        )
        title = type(step).__name__
        parts.append(
            f'<text x="24" y="{top + 21}" font-weight="600">{number}. {title}</text>'
            f'<text x="{_WIDTH - 24}" y="{top + 21}" text-anchor="end" fill="#4b5563" '
            f'font-size="11">{_MARKS[kind]}</text>'
        )
        for line, text in enumerate(lines):
            y = top + 21 + _LINE * (line + 1)
            parts.append(f'<text x="24" y="{y}" font-size="12">{escape(text)}</text>')
        top += height + _GAP
    body = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top - 6}" '
        'font-family="system-ui, sans-serif" font-size="14">'
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="5" refY="3" orient="auto">'
        '<path d="M0 0 L6 3 L0 6 z" fill="#6b7280"/></marker></defs>'
        f'<rect width="100%" height="100%" fill="white"/>{body}</svg>'
    )
