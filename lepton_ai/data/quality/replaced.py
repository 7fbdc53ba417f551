"""Replaced: what comes and is kept out replaces nothing, and the keys of what stays then count."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lepton_ai.data.quality.check import rows_of

__all__ = ["taken"]


def taken(
    there: pl.DataFrame,
    coming: pl.DataFrame,
    on: Sequence[str],
    kept_out: pl.Series,
    keys: Mapping[int, Sequence[str]],
) -> dict[int, list[int]]:
    """Return which rows that come have a key of one that stays, as nothing replaces it after all.

    Each of them is kept out too, and may leave another row in its place: so on, to the end.

    Args:
        on: the columns by which a row that comes replaces one that is there.
        kept_out: which of the rows that come are kept out for another reason.
        keys: the columns of each rule about keys.

    Returns:
        The places of the rows, by rule.
    """
    old, new = there.with_row_index("_old"), coming.with_row_index("_new")
    replaces = _pairs(old, new, on)
    known = rows_of(new)
    wants = pl.concat(
        [_pairs(old, known, key).with_columns(_rule=pl.lit(rule)) for rule, key in keys.items()]
    ).join(replaces, on=["_old", "_new"], how="anti")
    # Few, mostly none: a row rarely takes the key of another that is replaced.
    replaces = replaces.join(wants, on="_old", how="semi")
    left = dict(replaces.group_by("_old").len().iter_rows())
    olds = _lists(replaces.select("_new", "_old"))
    takers = _lists(wants.select("_old", pl.struct("_rule", "_new")))
    found: dict[int, list[int]] = {rule: [] for rule in keys}
    out = {*kept_out.arg_true()}
    ahead = deque(out.intersection(olds))
    while ahead:
        for place in olds.get(ahead.popleft(), ()):
            left[place] -= 1
            for taker in takers[place] if not left[place] else ():
                if taker["_new"] not in out:
                    out.add(taker["_new"])
                    ahead.append(taker["_new"])
                    found[taker["_rule"]].append(taker["_new"])
    return found


def _pairs(old: pl.DataFrame, new: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """Return which rows of two frames have the same key."""
    return old.select("_old", *on).join(new.select("_new", *on), on=on).select("_old", "_new")


def _lists(pairs: pl.DataFrame) -> dict[int, list[Any]]:
    key, value = pairs.columns
    return dict(pairs.group_by(key).agg(value).iter_rows())
