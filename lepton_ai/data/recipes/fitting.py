"""Fitting of a recipe's steps, in as few passes over the rows as their order allows."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import settled
from lepton_ai.data.recipes.step import Frame, Step, statistics
from lepton_ai.data.recipes.target import TargetEncode

__all__ = ["apply_steps", "fit_steps"]


def fit_steps(
    steps: Sequence[Any], frame: Frame, *, at_hand: bool
) -> tuple[list[Any], list[int | None], Frame]:
    """Fit steps one after the other.

    Args:
        frame: the training rows.
        at_hand: they lie in memory, so that steps that change them are computed at once.

    Returns:
        The fitted steps, how many rows there were before each and at the end (None: it would
        have taken a pass of its own to count), and the rows after the last step.

    Raises:
        InvalidInput: a step does not fit the rows; the message names it.
    """
    done: list[Any] = []
    counts: list[int | None] = [None] * (len(steps) + 1)
    answers: dict[int, dict[str, Any]] = {}
    moved = False
    if at_hand:
        counts[0] = int(statistics(frame, {"rows": nw.len()})["rows"])
    for place, step in enumerate(steps):
        left = steps[place:]
        if moved and (at_hand or step.learns):
            # What was asked for so far is computed once, not again for each thing learned.
            frame, counts[place] = settled(_narrowed(frame, left))
            moved = False
        try:
            if place not in answers and step.learns:
                found, rows = _asked(left, frame)
                answers |= {place + later: values for later, values in found.items()}
                counts[place] = rows if rows is not None else counts[place]
            fitted = step.told(answers[place]) if place in answers else step.fit(frame)
            if isinstance(fitted, TargetEncode):
                frame = fitted.cross_fit(frame)
            else:
                frame = fitted.apply(frame)
        except Exception as error:
            raise _at(place, step, error) from error
        moved = moved or fitted.rows
        done.append(fitted)
    if at_hand:
        frame, counts[-1] = settled(frame)
    return done, _filled(done, counts), frame


def apply_steps(steps: Sequence[Any], frame: Frame, *, serving: bool) -> Frame:
    """Return the frame after fitted steps; when serving, without those that change rows."""
    for place, step in enumerate(steps):
        if serving and step.rows:
            continue
        try:
            frame = step.apply(frame)
        except Exception as error:
            raise _at(place, step, error) from error
    return frame


def _asked(left: Sequence[Step], frame: Frame) -> tuple[dict[int, dict[str, Any]], int | None]:
    """Ask for what the first step learns, and for what others learn of columns as they are."""
    first = left[0].asks(frame)
    if first is None:
        return {}, None
    asked, touched = {0: first}, left[0].writes()
    for place, step in enumerate(left[1:], 1):
        if touched is None or left[place - 1].rows:
            break
        reads, writes = step.reads(), step.writes()
        if step.learns and reads is not None and not reads & touched:
            later = step.asks(frame)
            if later is not None:
                asked[place] = later
        touched = None if writes is None else touched | writes
    flat = {f"{p} {name}": wish for p, wishes in asked.items() for name, wish in wishes.items()}
    found = statistics(frame, flat | {"rows": nw.len()})
    return {
        place: {name: found[f"{place} {name}"] for name in wishes}
        for place, wishes in asked.items()
    }, int(found["rows"])


def _narrowed(frame: Frame, left: Sequence[Step]) -> Frame:
    """Leave out columns that nothing looks at any more and that are not in the result."""
    needed: set[str] = set()
    for step in left:
        reads = step.reads()
        if reads is None:
            return frame
        needed |= reads
        if step.narrows():
            names = frame.collect_schema().names()
            kept = [name for name in names if name in needed]
            return frame.select(*kept) if 0 < len(kept) < len(names) else frame
    return frame


def _filled(steps: Sequence[Step], counts: list[int | None]) -> list[int | None]:
    """Carry counts over steps that leave the rows as they are, both ways."""
    for place, step in enumerate(steps):
        if not step.rows and counts[place + 1] is None:
            counts[place + 1] = counts[place]
    for place in reversed(range(len(steps))):
        if not steps[place].rows and counts[place] is None:
            counts[place] = counts[place + 1]
    return counts


def _at(place: int, step: Step, error: Exception) -> Exception:
    """Say at which step an engine failed; errors of our own name their step themselves."""
    from duckdb import Error as DuckDBError
    from narwhals.exceptions import NarwhalsError
    from polars.exceptions import PolarsError

    strange = (TypeError, AttributeError, NotImplementedError, NarwhalsError, PolarsError)
    of_spark = type(error).__module__.startswith("pyspark.")
    if not (isinstance(error, (*strange, DuckDBError)) or of_spark):
        return error
    said = str(error).strip().splitlines()
    return InvalidInput(
        f"step {place + 1}, {type(step).__name__}: {said[0] if said else type(error).__name__}"
    )
