"""Page: reports as HTML that needs nothing else, no script, font or file."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

__all__ = ["anchor", "bars", "document", "facts", "picture", "section", "table"]

_STYLE = """
:root { --ink: #111827; --soft: #6b7280; --line: #e5e7eb; --tint: #f9fafb; --mark: #0b6cb8;
  --paper: #fff; --shade: #dbeafe; --warn: #b42318; --note: #fef3c7; --noted: #78350f }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --soft: #9ca3af; --line: #374151;
  --tint: #1f2937; --mark: #60a5fa; --paper: #111827; --shade: #1e3a5f; --warn: #f87171;
  --note: #422006; --noted: #fde68a } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, 'Segoe UI', Roboto, sans-serif; color: var(--ink);
  margin: 0 auto; max-width: 66rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper) }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .4rem; padding-top: 1.2rem;
  border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 0 }
p { margin: .3rem 0 .9rem; color: var(--soft); max-width: 52rem }
nav { margin: 1rem 0 0 } nav a { color: var(--mark); margin-right: 1.2rem; text-decoration: none }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: .4rem 0 1rem }
th { text-align: left; color: var(--soft); font-weight: 600; white-space: nowrap;
  border-bottom: 2px solid var(--line) }
td, th { padding: .32rem 1.4rem .32rem 0; vertical-align: top; overflow-wrap: anywhere }
td:last-child, th:last-child { padding-right: 0 }
td { border-bottom: 1px solid var(--line) }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0 0 }
.fact { background: var(--tint); border: 1px solid var(--line); border-radius: .6rem;
  padding: .6rem 1rem; min-width: 8rem }
.fact b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
.fact span { color: var(--soft); font-size: .85rem }
.card { border: 1px solid var(--line); border-radius: .7rem; padding: 1rem 1.2rem; margin: .8rem 0;
  display: grid; grid-template-columns: 13rem 1fr 15rem; gap: 1.4rem; break-inside: avoid }
.card .type { color: var(--soft); font-size: .85rem }
.card table { margin: 0 } .card td { border: 0; padding: .1rem .7rem .1rem 0 }
.note { display: inline-block; background: var(--note); color: var(--noted); border-radius: .4rem;
  padding: .1rem .5rem; font-size: .82rem; margin: .3rem .3rem 0 0 }
td.soft { color: var(--soft); white-space: nowrap } .card td.soft { width: 9.5rem }
pre { white-space: pre-wrap; font-size: .85rem }
.share { background: linear-gradient(90deg, var(--shade) var(--part), transparent 0);
  padding: 0 .4rem; font-size: .85rem; display: flex; justify-content: space-between; gap: .5rem }
.share span:first-child { overflow-wrap: anywhere }
.share span:last-child { white-space: nowrap; font-variant-numeric: tabular-nums }
img { max-width: 100%; height: auto; background: #fff; border-radius: .5rem; padding: .5rem }
svg { display: block }
@media (max-width: 48rem) { .card { grid-template-columns: 1fr } }
@media print { body { padding: 0 } }
"""


def document(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><body>{body}</body></html>"
    )


def section(title: str, body: str, text: str = "") -> str:
    """Return a part with a heading that can be linked to."""
    said = f"<p>{escape(text)}</p>" if text else ""
    return f"<section id='{anchor(title)}'><h2>{escape(title)}</h2>{said}{body}</section>"


def anchor(title: str) -> str:
    """Return the name by which a part is linked to."""
    return "".join(mark if mark.isalnum() else "-" for mark in title.lower())


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table; whatever the cells hold is text.

    Args:
        numbers: the places of the columns that stand to the right.
    """
    kinds = [" class='n'" if place in numbers else "" for place in range(len(head))]
    titles = "".join(f"<th{k}>{escape(cell)}</th>" for cell, k in zip(head, kinds, strict=True))
    lines = "".join(
        "<tr>"
        + "".join(f"<td{k}>{escape(cell)}</td>" for cell, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def facts(items: Sequence[tuple[str, str]]) -> str:
    """Return figures with what they are of, side by side."""
    boxes = "".join(
        f"<div class='fact'><b>{escape(value)}</b><span>{escape(name)}</span></div>"
        for name, value in items
    )
    return f"<div class='facts'>{boxes}</div>"


def bars(counts: Sequence[int], width: int = 230, height: int = 64, label: str = "") -> str:
    """Return counts as a small picture of bars."""
    most = max(counts, default=0)
    if not most:
        return ""
    step = width / len(counts)
    drawn = "".join(
        f"<rect x='{place * step:.2f}' y='{height - _tall(count, most, height):.2f}' "
        f"width='{max(1.0, step - 1):.2f}' height='{_tall(count, most, height):.2f}' rx='1'/>"
        for place, count in enumerate(counts)
    )
    return (
        f"<svg width='{width}' height='{height}' viewBox='0 0 {width} {height}' role='img' "
        f"aria-label='{escape(label)}' fill='var(--mark, #0b6cb8)'>{drawn}</svg>"
    )


def _tall(count: int, most: int, height: int) -> float:
    return max(1.0, count / most * height) if count else 0.0


def picture(figure: Any) -> str:
    """Return a figure of matplotlib as part of a page."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"<img src='data:image/png;base64,{b64encode(buffer.getvalue()).decode()}' alt=''>"
