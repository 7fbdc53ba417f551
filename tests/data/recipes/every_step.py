"""One of each step, the rows they are tried on, and what it means that two results are the same."""

import datetime as dt

import polars as pl
from polars.testing import assert_frame_equal

from lepton_ai.data.recipes import (
    Aggregate,
    Bin,
    Calendar,
    Convert,
    DateParts,
    Deduplicate,
    Derive,
    DropColumns,
    DropMissing,
    Embed,
    Filter,
    FuzzyDuplicates,
    HashEncode,
    Impute,
    Invalid,
    Lag,
    OneHot,
    Ordinal,
    Outliers,
    ParseDates,
    Rare,
    Rename,
    Rolling,
    RollingTime,
    Scale,
    Select,
    Sort,
    TargetEncode,
    Tfidf,
    Tidy,
    Units,
)

__all__ = ["FRAME", "START", "STEPS", "same"]

START = dt.datetime(2026, 1, 30, 22)
FRAME = pl.DataFrame(
    {
        "n": range(12),
        "g": ["a", "b", None] * 4,
        "x": [1.5, None, float("nan"), -3.0, 8.0, 2.0, 0.0, 40.0, None, 5.0, 6.0, 7.0],
        "k": [0, 3, 1, None, 2, 5, 1, 1, 0, 2, 9, 4],
        "t": [START + dt.timedelta(minutes=37 * n) if n != 5 else None for n in range(12)],
        "s": [" Über  A", "n/a", "ﬁne", "12", "1.5", "-4e2", None, "yes", "5 kg", "8 g", "", "x"],
        "d": ["2026-01-31", "30.02.2026", "1.2.2026", None, "20260301", "soon"] * 2,
        "note": ["clear lung", "nodule in lung", "heart", "clear heart", "lung nodule", ""] * 2,
        "y": [True, False, True, True, False, None] * 2,
    }
)  # fmt: skip

STEPS: list[object] = [
    Aggregate(by=("g",), values={"s": "sum(x)", "q": "quantile(x, 0.3)", "r": "sum(x) / sum(k)"}),
    Aggregate(values={"d": "std(x)", "c": "count(x)", "u": "n_unique(k)", "a": "rows()"}),
    Aggregate(
        by=("g",), values={"f": "first(k, by=n)", "l": "last(x, by=n) - first(k, by=col('n'))"}
    ),
    Aggregate(
        by=("g",),
        values={"f": "first(s, by=n)", "v": "var(x)", "m": "median(k)", "h": "max(x) - min(x)",
                "c": "count(x) / rows()", "w": "sum(x * k) / sum(k)", "e": "last(x + k, by=n)"},
    ),
    Bin(column="x", bins=3),
    Bin(column="x", method="width", bins=4),
    Calendar(time="t", every="1d", by=("g",), values={"m": "mean(x)", "h": "max(k)"}),
    Calendar(time="t", every="45m", by=("g",), values={"m": "mean(x)", "l": "last(k, by=t)"}),
    Calendar(time="t", every="1w", values={"m": "mean(x)"}),
    Calendar(time="t", every="1mo", values={"n": "rows()"}),
    Convert(columns=("s",)),
    Convert(columns=("s",), to="boolean"),
    DateParts(column="t", parts=("month", "weekday", "hour"), cyclic=True),
    Deduplicate(columns=("g",), keep="last", order=("n",)),
    Derive(columns={"z": "x / k", "m": "k % 3", "w": "upper(s) if k > 1 else d"}),
    DropColumns(columns=("s",), missing_above=0.3, constant=True),
    DropMissing(columns=("x", "g")),
    Embed(column="note", size=2),
    Filter(where="x > 0 and g is not None or k in (0, 5)"),
    FuzzyDuplicates(column="note", order=("n",), similarity=0.9),
    HashEncode(columns=("g",), buckets=8),
    Impute(columns=("x", "k"), method="median", flag=True),
    Impute(columns=("g",), method="mode"),
    Impute(columns=("x",), method="forward", order=("n",), by=("g",)),
    Impute(columns=("x", "k"), method="model", predictors=("n",)),
    Impute(columns=("x", "k"), method="neighbours", nearest=2),
    Invalid(column="x", low=0, high=10),
    Invalid(column="d", pattern="[0-9-]+", action="drop"),
    Lag(columns=("x", "g"), order=("n",), by=("y",), lags=(1, 2)),
    OneHot(columns=("g",)),
    Ordinal(columns=("g", "d")),
    Outliers(columns=("x", "k"), method="z", width=1),
    Outliers(columns=("x",), action="drop"),
    ParseDates(columns=("d",), formats=("%Y-%m-%d", "%-d.%-m.%Y", "%Y%m%d")),
    ParseDates(columns=("d",), formats=("%Y-%m-%d %H:%M", "%Y-%m-%d"), zone="Europe/Kyiv"),
    Rare(columns=("d",), share=0.2),
    Rename(names={"x": "v", "k": "x"}),
    Rolling(
        columns=("x", "k"), order=("n",), window=100, by=("g",), what=("median", "count", "var")
    ),
    Rolling(
        columns=("k",), order=("g", "n"), window=3, what=("first", "last"),
        values={"r": "max(x) - min(x)", "q": "quantile(x * 2, 0.3)", "f": "first(s)",
                "d": "x - first(x)", "c": "count(x) / rows()", "w": "sum(x * k) / sum(k)"},
    ),
    RollingTime(
        columns=("k",), time="t", window="80m", what=("median", "var", "first", "last"),
        values={"r": "max(x) - min(x)", "q": "quantile(x, 0.9)", "c": "count(x) / rows()",
                "w": "first(s)"},
    ),
    Rolling(columns=("x",), order=("n",), window=3, what=("mean", "sum", "std", "min", "max")),
    RollingTime(
        columns=("x",), time="t", window="90m", by=("g",), what=("mean", "min", "max", "count")
    ),
    RollingTime(columns=("k",), time="t", window="2h", what=("sum", "std")),
    Scale(columns=("x", "k"), method="robust"),
    Scale(columns=("x",), method="log"),
    Scale(columns=("x", "k"), method="power"),
    Select(columns=("k", "n")),
    Sort(by=("n",), descending=True),
    TargetEncode(columns=("g", "k"), target="y", order=("n",), smoothing=1),
    Tfidf(column="note", most=4),
    Tidy(columns=("s",), unicode="NFKC", case="lower", synonyms={"yes": "ja"}),
    Units(column="s", to="g", assume="kg"),
]  # fmt: skip


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows in an order of their own: engines promise none."""
    frame = frame.with_columns(pl.col(pl.Datetime).cast(pl.Datetime("us")))
    keys = [name for name in ("n", "g", "t") if name in frame.columns]
    return frame.sort(keys or frame.columns)


def same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    assert_frame_equal(
        in_order(left), in_order(right), check_dtypes=False, rel_tol=1e-9, abs_tol=1e-12
    )
