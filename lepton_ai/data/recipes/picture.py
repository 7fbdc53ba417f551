"""The picture of a recipe: its steps as a flow, in SVG."""

from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from lepton_ai.core.words import counted

if TYPE_CHECKING:
    from lepton_ai.data.recipes.recipe import Recipe

__all__ = ["draw"]

_WIDTH, _LINE, _GAP, _LEFT, _INSET = 680, 18, 22, 20, 66
_FONT = "Inter, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_CHARACTERS, _LINES = 84, 4


class _Look(NamedTuple):
    """Colours of a kind of step, told apart without them by the words of its mark."""

    strong: str
    soft: str
    mark: str


_LOOKS = {
    "learns": _Look("#2563eb", "#eff6ff", "learns from training rows"),
    "rows": _Look("#d97706", "#fffbeb", ""),
    "plain": _Look("#64748b", "#f8fafc", ""),
}


def draw(recipe: "Recipe") -> str:
    """Return the flow as SVG: a box a step, with what it learned and how many rows it left."""
    counts = recipe.counts or (None,) * (len(recipe) + 1)
    title = f"Recipe of {counted(len(recipe), 'step')}"
    state = "fitted" if recipe.fitted else "not fitted yet"
    parts = [
        _text(_LEFT, 38, title, size=19, weight=700, fill="#0f172a"),
        _text(_WIDTH - _LEFT, 38, state, size=13, fill="#64748b", end=True),
    ]
    top = 58
    parts.append(_pill(top, _rows(counts[0], "training rows")))
    top += 28
    for place, step in enumerate(recipe.steps):
        look = _LOOKS["rows" if step.rows else "learns" if step.learns else "plain"]
        lines = wrap(step.explain(), _CHARACTERS)
        if len(lines) > _LINES:
            lines = [*lines[: _LINES - 1], f"{lines[_LINES - 1][: _CHARACTERS - 2]} …"]
        why = recipe.reasons[place] if place < len(recipe.reasons) else ""
        reasons = wrap(why, _CHARACTERS)[:2]
        height = 42 + _LINE * (len(lines) + len(reasons))
        parts.append(_arrow(top))
        top += _GAP
        mark = recipe.moved(place).replace("->", "→") if step.rows else look.mark
        parts += _box(place + 1, type(step).__name__, look, mark, top, height)
        y = top + 29
        for line in lines:
            y += _LINE
            parts.append(_text(_INSET, y, line, size=13, fill="#334155"))
        for line in reasons:
            y += _LINE
            parts.append(_text(_INSET, y, line, size=12, fill="#64748b", italic=True))
        top += height
    parts.append(_arrow(top))
    top += _GAP
    parts.append(_pill(top, _rows(counts[-1], "rows after")))
    return _page("".join(parts), top + 46)


def _rows(count: int | None, what: str) -> str:
    return what if count is None else f"{count:,} {what}"


def _box(number: int, name: str, look: _Look, mark: str, top: int, height: int) -> list[str]:
    width = _WIDTH - 2 * _LEFT
    return [
        f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{height}" rx="10" '
        f'fill="{look.soft}" stroke="{look.strong}" stroke-opacity="0.35"/>',
        f'<circle cx="{_LEFT + 23}" cy="{top + 22}" r="12" fill="{look.strong}"/>',
        f'<text x="{_LEFT + 23}" y="{top + 26.5}" text-anchor="middle" font-size="12" '
        f'font-weight="700" fill="#ffffff">{number}</text>',
        _text(_INSET, top + 27, name, size=15, weight=650, fill="#0f172a"),
        _text(_WIDTH - _LEFT - 14, top + 26, mark, size=12, fill=look.strong, end=True),
    ]


def _pill(top: int, text: str) -> str:
    width = 40 + 7.4 * len(text)
    left = (_WIDTH - width) / 2
    return (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="28" rx="14" fill="#0f172a"/>'
        f'<text x="{_WIDTH / 2}" y="{top + 18.5}" text-anchor="middle" font-size="12.5" '
        f'font-weight="600" fill="#ffffff">{escape(text)}</text>'
    )


def _arrow(top: int) -> str:
    return (
        f'<path d="M{_WIDTH / 2} {top + 3} v{_GAP - 11}" stroke="#94a3b8" stroke-width="1.6" '
        'fill="none" marker-end="url(#tip)"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    fill: str,
    weight: int = 400,
    end: bool = False,
    italic: bool = False,
) -> str:
    anchor = ' text-anchor="end"' if end else ""
    style = ' font-style="italic"' if italic else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}"'
        f"{anchor}{style}>{escape(text)}</text>"
    )


def _page(body: str, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="{_FONT}" role="img">'
        '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="4" refY="3" orient="auto">'
        '<path d="M0 0 L6 3 L0 6 z" fill="#94a3b8"/></marker></defs>'
        f'<path d="M0 0 H{_WIDTH} V{height} H0 z" fill="#ffffff"/>{body}</svg>'
    )
