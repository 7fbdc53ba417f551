"""Windows and figures of groups, against pandas and by hand."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes import Aggregate, Calendar, Recipe, Rolling, RollingTime
from lepton_ai.data.recipes.figures import Figure, taken_apart


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(900)[:80], unit="m")
    values = np.where(rng.random(80) < 0.2, np.nan, rng.normal(size=80))
    table = pd.DataFrame({"g": rng.integers(0, 3, 80), "t": times.astype("datetime64[us]")})
    return table.assign(x=values, k=rng.integers(0, 9, 80)).sort_values(
        ["g", "t"], ignore_index=True
    )


VALUES = {
    "q": "quantile(x, 0.9)",
    "reach": "max(x) - min(x)",
    "since": "k - first(k)",
    "share": "count(x) / rows()",
    "weighted": "sum(x * k) / sum(k)",
}


def expected(windows: object, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """What pandas makes of the formulas, from windows over x, k, x * k and the row's own k."""
    x, k, xk = (windows[name] for name in ("x", "k", "xk"))  # type: ignore[index]
    first = k.apply(lambda values: values[0], raw=True).to_numpy()
    count = x.count().to_numpy()
    total = k.sum().to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        weighted = np.where(total == 0, np.nan, xk.sum().to_numpy() / total)
    return {
        "q": x.quantile(0.9, interpolation="linear").to_numpy(),
        "reach": x.max().to_numpy() - x.min().to_numpy(),
        "since": frame["k"].to_numpy() - first,
        "share": count / k.count().to_numpy(),
        "weighted": np.where(count == 0, np.nan, weighted),
    }


def test_formulas_over_rows_are_those_of_pandas(frame: pd.DataFrame) -> None:
    step = Rolling(order=("t",), by=("g",), window=5, values=VALUES)
    ours = Recipe([step]).fit_apply(frame)[1].sort_values(["g", "t"])
    whole = frame.assign(xk=frame["x"] * frame["k"])
    windows = whole.groupby("g")[["x", "k", "xk"]].rolling(5, min_periods=1)
    for name, values in expected(windows, frame).items():
        np.testing.assert_allclose(ours[name].astype(float), values, atol=1e-12, err_msg=name)
    assert [*ours.columns] == ["g", "t", "x", "k", *VALUES]


def test_formulas_over_time_are_those_of_pandas(frame: pd.DataFrame) -> None:
    step = RollingTime(time="t", by=("g",), window="90m", values=VALUES)
    ours = Recipe([step]).fit_apply(frame)[1].sort_values(["g", "t"])
    whole = frame.assign(xk=frame["x"] * frame["k"]).set_index("t")
    windows = whole.groupby("g")[["x", "k", "xk"]].rolling("90min", closed="both", min_periods=1)
    for name, values in expected(windows, frame).items():
        np.testing.assert_allclose(ours[name].astype(float), values, atol=1e-12, err_msg=name)


def test_every_figure_of_rows_is_that_of_pandas(frame: pd.DataFrame) -> None:
    what = ("mean", "sum", "std", "var", "min", "max", "median", "count")
    step = Rolling(columns=("x",), order=("t",), by=("g",), window=70, what=what)
    ours = Recipe([step]).fit_apply(frame)[1].sort_values(["g", "t"])
    windows = frame.groupby("g")["x"]
    for name in what:
        least = {"std": 2, "var": 2, "count": 0}.get(name, 1)
        peer = getattr(windows.rolling(70, min_periods=least), name)().to_numpy()
        np.testing.assert_allclose(
            ours[f"x_{name}70"].astype(float), peer, atol=1e-12, err_msg=name
        )


def test_every_figure_of_a_group_is_that_of_pandas(frame: pd.DataFrame) -> None:
    plain = ("sum", "mean", "median", "min", "max", "std", "var", "count")
    values = {name: f"{name}(x)" for name in plain} | {
        "q": "quantile(x, 0.1)", "u": "n_unique(k)", "n": "rows()", "f": "first(k, by=t)",
        "l": "last(k, by=t)", "r": "max(x) - min(x)",
    }  # fmt: skip
    ours = Recipe([Aggregate(by=("g",), values=values)]).fit_apply(frame)[1].sort_values("g")
    groups = frame.groupby("g")
    peer = groups["x"].agg([*plain]).assign(
        q=groups["x"].quantile(0.1), u=groups["k"].nunique(), n=groups.size(),
        f=groups["k"].first(), l=groups["k"].last(), r=groups["x"].max() - groups["x"].min(),
    )  # fmt: skip
    for name in values:
        np.testing.assert_allclose(ours[name].astype(float), peer[name], rtol=1e-12, err_msg=name)


def test_calendar_is_pandas_resampling(frame: pd.DataFrame) -> None:
    values = {"m": "mean(x)", "q": "quantile(x, 0.75)", "l": "last(k, by=t)", "n": "rows()"}
    recipe = Recipe([Calendar(time="t", every="3h", values=values)])
    ours = recipe.fit_apply(frame)[1].sort_values("t").set_index("t")
    spans = frame.sort_values("t").set_index("t").resample("3h")
    peer = pd.DataFrame(
        {"m": spans["x"].mean(), "q": spans["x"].quantile(0.75), "l": spans["k"].last(),
         "n": spans.size()}
    )  # fmt: skip
    assert [*ours.index] == [*peer.index]
    np.testing.assert_allclose(ours.astype(float), peer[[*ours.columns]], rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-99, 99)), min_size=1, max_size=20), st.integers(2, 6)
)
def test_windows_of_any_rows_are_as_by_hand(values: list[int | None], size: int) -> None:
    frame = pl.DataFrame({"n": range(len(values)), "x": pl.Series(values, dtype=pl.Int64)})
    step = Rolling(
        order=("n",), window=size,
        values={"s": "sum(x)", "m": "median(x)", "f": "first(x)", "c": "count(x)", "n_": "rows()"},
    )  # fmt: skip
    done = Recipe([step]).fit_apply(frame.sample(fraction=1, shuffle=True, seed=0))[1].sort("n")
    for place, row in enumerate(done.iter_rows(named=True)):
        seen = values[max(0, place - size + 1) : place + 1]
        known = [value for value in seen if value is not None]
        assert row["s"] == (sum(known) if known else None)
        assert row["m"] == (pytest.approx(float(np.median(known))) if known else None)
        assert (row["f"], row["c"], row["n_"]) == (seen[0], len(known), len(seen))


def test_a_formula_is_taken_apart() -> None:
    figures, rest = taken_apart("(sum(a * 2) - first(b, by=col('c d'))) / rows() + e", "_")
    assert figures == {
        "_0": Figure("sum", "a * 2"), "_1": Figure("first", "b", order="c d"), "_2": Figure("rows"),
    }  # fmt: skip
    assert rest == "(col('_0') - col('_1')) / col('_2') + e"
    assert figures["_1"].call() == "first(b, by=col('c d'))"
    for wrong in ("sum()", "rows(a)", "quantile(a)", "quantile(a, b)", "sum(a, by=b)", "sum("):
        with pytest.raises(InvalidInput):
            taken_apart(wrong, "_")
