"""A prediction in a line, whatever the task."""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Outlined", "outlined"]

_MOST = 4


class Outlined(NamedTuple):
    """A prediction for a reader.

    Attributes:
        answer: the label or value.
        title: what the details are.
        details: probabilities, memberships, the interval or the score.
    """

    answer: str
    title: str
    details: str


def outlined(row: Mapping[str, Any]) -> Outlined:
    """Return the line for one prediction, as an endpoint or a receipt gives it."""
    if row.get("forecast"):
        series = list(row["forecast"].items())
        shown = [f"{name} {' '.join(f'{v:.4g}' for v in steps[:_MOST])}" for name, steps in series]
        steps = len(series[0][1])
        return Outlined(
            f"{steps} steps of {len(series)} series", "first steps", "  ".join(shown[:_MOST])
        )
    if row.get("value") is not None:
        ends = [row.get("low"), row.get("high")]
        interval = "" if None in ends else f"{ends[0]:.6g} to {ends[1]:.6g}"
        return Outlined(f"{row['value']:.6g}", "interval", interval)
    if row.get("score") is not None:
        return Outlined(row["label"], "score", f"{row['score']:.4g}")
    title = "memberships" if row.get("memberships") else "probabilities"
    shares = sorted(row.get(title, {}).items(), key=lambda item: -item[1])
    told = "  ".join(f"{label} {share:.3f}" for label, share in shares[:_MOST])
    return Outlined(row["label"], title, told)
