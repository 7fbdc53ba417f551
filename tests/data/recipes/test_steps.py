"""Single steps against hand-checked values, scikit-learn and pandas."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.impute import KNNImputer
from sklearn.linear_model import Ridge
from sklearn.preprocessing import PowerTransformer, TargetEncoder

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes import (
    Aggregate,
    Bin,
    Convert,
    DateParts,
    Deduplicate,
    Derive,
    DropColumns,
    Filter,
    FuzzyDuplicates,
    HashEncode,
    Impute,
    Invalid,
    Lag,
    Outliers,
    ParseDates,
    Recipe,
    Rolling,
    RollingTime,
    Scale,
    Sort,
    TargetEncode,
    Tidy,
    Units,
)


def run(step: object, data: object) -> pl.DataFrame:
    return Recipe([step]).fit_apply(data if isinstance(data, pl.DataFrame) else pl.DataFrame(data))[
        1
    ]


def test_power_is_scikit_learns() -> None:
    values = np.random.default_rng(0).exponential(size=(300, 2)) * [1, -5] + [0, 2]
    frame = pl.DataFrame(values, schema=["a", "b"])
    ours = run(Scale(method="power"), frame).to_numpy()
    peer = PowerTransformer()
    np.testing.assert_allclose(ours, peer.fit_transform(values), rtol=1e-4, atol=1e-5)
    with pytest.raises(InvalidInput, match="3 different values"):
        run(Scale(method="power"), {"a": [1.0, 1.0, 1.0]})


def test_a_logarithm_of_what_has_none_is_empty() -> None:
    assert run(Scale(method="log"), {"a": [-1.0, 0.0, np.e - 1, None]})["a"].to_list() == [
        None, 0.0, pytest.approx(1.0), None,
    ]  # fmt: skip


def test_gaps_by_ridge_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(200, 2))
    wanted = known @ [2.0, -1.0] + 3 + rng.normal(size=200)
    frame = pl.DataFrame({"a": known[:, 0], "b": known[:, 1], "y": wanted}).with_columns(
        y=pl.when(pl.int_range(200) % 4 > 0).then("y")
    )
    ours = run(Impute(columns=("y",), method="model", predictors=("a", "b")), frame)
    rows = np.arange(200) % 4 > 0
    centre, spread = known.mean(axis=0), known.std(axis=0)
    scaled = (known - centre) / spread
    mean = wanted[rows].mean()
    peer = Ridge(alpha=1.0, fit_intercept=False).fit(scaled[rows], wanted[rows] - mean)
    np.testing.assert_allclose(ours["y"].to_numpy()[rows], wanted[rows])
    np.testing.assert_allclose(
        ours["y"].to_numpy()[~rows], peer.predict(scaled[~rows]) + mean, rtol=1e-6
    )
    assert ours["a"].to_list() == frame["a"].to_list()


def test_gaps_by_neighbours_are_those_of_scikit_learn() -> None:
    values = np.random.default_rng(1).normal(size=(60, 3)) * [1, 10, 100]
    values[::5, 1] = np.nan
    values[::7, 2] = np.nan
    frame = pl.DataFrame(values, schema=["a", "b", "c"], nan_to_null=True)
    fitted, ours = Recipe([Impute(method="neighbours", nearest=3)]).fit_apply(frame)
    spread = np.nanstd(values, axis=0)
    peer = KNNImputer(n_neighbors=3).fit_transform(values / spread) * spread
    np.testing.assert_allclose(ours.to_numpy(), peer)
    again = Recipe.from_json(fitted.to_json())
    assert_frame_equal(again.apply(frame), ours)


def test_target_means_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    category = rng.choice(["a", "b", "c", "d"], 200)
    target = rng.normal(size=200) + (category == "a")
    frame = pl.DataFrame({"c": category, "y": target})
    fitted = Recipe([TargetEncode(columns=("c",), target="y", smoothing=7)]).fit(frame)
    peer = TargetEncoder(smooth=7, target_type="continuous").fit(category[:, None], target)
    expected = peer.transform(category[:, None])[:, 0]
    np.testing.assert_allclose(fitted.apply(frame)["c"], expected)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=5, max_size=30),
    st.data(),
)
def test_no_training_row_sees_its_own_target(rows: list[tuple[str, bool]], data: object) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))  # type: ignore[attr-defined]
    frame = pl.DataFrame(rows, schema=["c", "y"], orient="row")
    turned = frame.with_columns(y=pl.col("y") ^ (pl.int_range(pl.len()) == place))
    step = TargetEncode(columns=("c",), target="y", smoothing=2)
    assert run(step, frame)["c"][place] == run(step, turned)["c"][place]


def test_the_class_to_look_for() -> None:
    frame = {"c": ["x", "x", "y", "y"], "t": ["bad", "good", "good", "good"]}
    step = TargetEncode(columns=("c",), target="t", positive="bad", smoothing=0, folds=2)
    fitted = Recipe([step]).fit(pl.DataFrame(frame))
    assert fitted.steps[0].means == {"c": {"x": 0.5, "y": 0.0}}
    with pytest.raises(InvalidInput, match="positive="):
        run(TargetEncode(columns=("c",), target="t"), frame)
    with pytest.raises(InvalidInput, match="cannot encode itself"):
        run(TargetEncode(columns=("t",), target="t"), frame)


def test_types() -> None:
    texts = {"x": [" 1.5", "2", "1e3", "abc", "", None, "1,234.5", ".5", "-7."]}
    assert run(Convert(columns=("x",)), texts)["x"].to_list() == [
        1.5, 2.0, 1000.0, None, None, None, None, 0.5, -7.0,
    ]  # fmt: skip
    german = run(Convert(columns=("x",), comma=True), {"x": ["1.234,5", "2,5"]})
    assert german["x"].to_list() == [1234.5, 2.5]
    whole = run(Convert(columns=("x",), to="integer"), {"x": ["12", "1.5", "9" * 30]})
    assert whole["x"].to_list() == [12, None, None]
    yes = run(Convert(columns=("x",), to="boolean"), {"x": ["Yes", "f", "0", "maybe", None]})
    assert yes["x"].to_list() == [True, False, False, None, None]
    assert run(Convert(columns=("x",), to="text"), {"x": [1, None]})["x"].to_list() == ["1", None]


def test_what_cannot_be() -> None:
    frame = {"c": ["AB1", "ab", "zAB1z", None], "n": [1, 2, 3, 4]}
    assert run(Invalid(column="c", pattern="[A-Z]{2}[0-9]"), frame)["c"].to_list() == [
        "AB1", None, None, None,
    ]  # fmt: skip
    step = Invalid(column="n", values=(1, 4), action="drop")
    assert step.rows
    assert run(step, frame)["n"].to_list() == [1, 4]


def test_units() -> None:
    step = Units(column="x", to="mmol/L", factors={"mg/dL": 0.0555})
    assert run(step, {"x": ["100 mg/dL", "5.5 mmol/L", "5500 umol/L", "7"]})["x"].to_list() == [
        pytest.approx(5.55), 5.5, pytest.approx(5.5), None,
    ]  # fmt: skip
    warm = run(Units(column="x", to="°C", assume="°C"), {"x": [" 98.6°F", "37", "310.15 K"]})
    assert warm["x"].to_list() == [pytest.approx(37.0), 37.0, pytest.approx(37.0)]
    share = run(Units(column="x", to="%", assume="1"), {"x": ["71", "71 %", "0.5"]})
    assert share["x"].to_list() == [7100.0, 71.0, 50.0]
    comma = run(Units(column="x", to="kg", comma=True), {"x": ["1.080,5 g", "12,5kg"]})
    assert comma["x"].to_list() == [pytest.approx(1.0805), 12.5]
    assert run(Units(column="x", to="m", assume="cm"), {"x": [150, None]})["x"].to_list() == [
        1.5, None,
    ]  # fmt: skip


def test_text_in_one_form() -> None:
    texts = {"x": ["\ufb01ne", "\uff2b\uff59\uff49\uff56 \uff11\uff12", "  a \t b ", "N/A", "é"]}
    done = run(Tidy(unicode="NFKC", case="lower", synonyms={"kyiv 12": "home"}), texts)
    assert done["x"].to_list() == ["fine", "home", "a b", None, "é"]
    assert run(Tidy(), texts)["x"][3] is None


def test_dates_and_times() -> None:
    days = {"x": ["2024-02-29", "2023-02-29", "31.04.2024", "1.2.2024", "2024-13-01", "1900-02-29"]}
    step = ParseDates(columns=("x",), formats=("%Y-%m-%d", "%-d.%-m.%Y"))
    assert run(step, days)["x"].to_list() == [
        dt.date(2024, 2, 29), None, None, dt.date(2024, 2, 1), None, None,
    ]  # fmt: skip
    times = {"x": ["2024-07-01 12:00", "2024-03-31 03:30", "2024-01-01", "2024-07-01 25:00"]}
    formats = ("%Y-%m-%d %H:%M", "%Y-%m-%d")
    read = run(ParseDates(columns=("x",), formats=formats, zone="Europe/Kyiv"), times)
    assert [t and t.replace(tzinfo=None) for t in read["x"]] == [
        dt.datetime(2024, 7, 1, 9),
        None,  # the hour that summer time skips
        dt.datetime(2023, 12, 31, 22),
        None,
    ]
    for wrong, words in (("%Y-%j", "is no form"), ("%H:%M", "is no form")):
        with pytest.raises(InvalidInput, match=words):
            run(ParseDates(columns=("x",), formats=(wrong,)), days)
    with pytest.raises(InvalidInput, match="no time zone"):
        run(ParseDates(columns=("x",), formats=formats, zone="Kyiv/Europe"), times)
    with pytest.raises(InvalidInput, match="needs dates"):
        run(DateParts(column="x"), days)


@settings(max_examples=60, deadline=None)
@given(
    st.dates(dt.date(1000, 1, 1), dt.date(2999, 12, 31)), st.sampled_from(["%Y%m%d", "%d/%m/%Y"])
)
def test_every_day_is_read(day: dt.date, form: str) -> None:
    text = day.strftime(form).zfill(len("20240101") if form == "%Y%m%d" else 10)
    read = run(ParseDates(columns=("x",), formats=(form,)), {"x": [text]})
    assert read["x"].to_list() == [day]


def test_cyclic_parts_lie_beside_each_other() -> None:
    frame = {"x": [dt.date(2024, 12, 15), dt.date(2024, 1, 15), dt.date(2024, 6, 15)]}
    done = run(DateParts(column="x", parts=("month",), cyclic=True, keep=False), frame)
    points = done.to_numpy()
    assert np.linalg.norm(points[0] - points[1]) < np.linalg.norm(points[0] - points[2])
    assert done.columns == ["x_month_sin", "x_month_cos"]


def test_near_duplicates_are_shown() -> None:
    frame = pl.DataFrame({"name": ["Jane Doe", "jane  doe", "Ann"], "born": [1, 1, 1]})
    pairs = FuzzyDuplicates(column="name", within=("born",)).pairs(frame)
    assert pairs.rows() == [(1, "Jane Doe", "jane  doe", 1.0)]
    assert FuzzyDuplicates(column="name").pairs(frame.head(0)).height == 0


def test_windows_are_those_of_pandas() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "g": rng.integers(0, 3, 60),
            "t": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(600)[:60], unit="m"),
            "x": np.where(rng.random(60) < 0.2, np.nan, rng.normal(size=60)),
        }
    )
    frame["t"] = frame["t"].astype("datetime64[us]")
    whats = ("mean", "sum", "min", "max", "std", "count")
    ours = Recipe(
        [
            RollingTime(columns=("x",), time="t", window="2h", by=("g",), what=whats),
            Rolling(columns=("x",), order=("t",), by=("g",), window=4, what=("min", "max", "mean")),
            Lag(columns=("x",), order=("t",), by=("g",), lags=(1, -2)),
            Lag(columns=("x",), order=("t",), by=("g",), change=True),
        ]
    ).fit_apply(frame)[1].sort_values(["g", "t"]).reset_index(drop=True)  # fmt: skip
    frame = frame.sort_values(["g", "t"]).reset_index(drop=True)
    grouped = frame.groupby("g")
    timed = frame.set_index("t").groupby("g")["x"].rolling("2h", closed="both")
    for what in whats:
        least = {"std": 2, "count": 0}.get(what, 1)
        other = frame.set_index("t").groupby("g")["x"].rolling("2h", closed="both",
                                                               min_periods=least)  # fmt: skip
        expected = getattr(other if what != "count" else timed, what)().to_numpy()
        np.testing.assert_allclose(
            ours[f"x_{what}_2h"].fillna(0), pd.Series(expected).fillna(0), atol=1e-12, err_msg=what
        )
    for what in ("min", "max", "mean"):
        expected = getattr(grouped["x"].rolling(4, min_periods=1), what)().to_numpy()
        np.testing.assert_allclose(ours[f"x_{what}4"], expected, atol=1e-12)
    np.testing.assert_allclose(ours["x_lag1"], grouped["x"].shift(1))
    np.testing.assert_allclose(ours["x_lag-2"], grouped["x"].shift(-2))
    np.testing.assert_allclose(ours["x_change1"], grouped["x"].diff())
    with pytest.raises(InvalidInput, match="written 30s"):
        run(RollingTime(columns=("x",), time="t", window="soon"), pl.DataFrame(frame))


def test_formulas_without_an_answer_are_empty() -> None:
    frame = {"a": [1, 0, -4], "b": [0, 0, 2]}
    done = run(
        Derive(columns={"q": "a / b", "w": "a // b", "m": "a % b", "l": "log(a)", "s": "sqrt(a)"}),
        frame,
    )
    assert done["q"].to_list() == [None, None, -2.0]
    assert done["w"].to_list() == [None, None, -2]
    assert done["l"].to_list() == [0.0, None, None]
    assert done["s"].to_list() == [1.0, 0.0, None]
    with pytest.raises(InvalidInput, match="divides by zero"):
        run(Derive(columns={"q": "a / 0"}), frame)


def test_order_and_bins() -> None:
    frame = {"x": [3.0, None, 1.0, 2.0]}
    assert run(Sort(by=("x",)), frame)["x"].to_list() == [1.0, 2.0, 3.0, None]
    assert run(Sort(by=("x",), descending=True), frame)["x"].to_list() == [3.0, 2.0, 1.0, None]
    edges = Bin(column="x", method="edges", edges=(3, 2))
    assert run(edges, frame)["x"].to_list() == [2, None, 0, 1]
    with pytest.raises(InvalidInput, match="needs edges"):
        run(Bin(column="x", method="edges"), frame)


def test_hashes_do_not_depend_on_what_else_there_is() -> None:
    step = HashEncode(columns=("c",), buckets=64)
    assert run(step, {"c": ["x", "y", None]})["c"][0] == run(step, {"c": ["x"]})["c"][0]
    assert run(step, {"c": ["", None]})["c"][1] is None
    assert run(step, pl.DataFrame({"c": [None]}, schema={"c": pl.String}))["c"].to_list() == [None]


def test_not_a_number_is_a_gap() -> None:
    frame = {"x": [1.0, float("nan"), 3.0]}
    assert run(Impute(method="mean"), frame)["x"].to_list() == [1.0, 2.0, 3.0]


def test_rows_are_counted() -> None:
    frame = {"x": [1.0, 1.0, None, 100.0], "y": [0, 0, 1, 2]}
    recipe = Recipe([Deduplicate(), Filter(where="x < 50 or x is None"), Impute(columns=("x",))])
    assert recipe.fit(pl.DataFrame(frame)).counts == (4, 3, 2, 2)
    # Of a lazy frame, what learning tells anyhow: after the filter, that is.
    assert recipe.fit(pl.DataFrame(frame).lazy()).counts == (None, None, 2, 2)


def test_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    from lepton_ai.data.recipes import fitting, step

    passes = []
    true = step.statistics
    for module in (fitting, step):
        monkeypatch.setattr(module, "statistics", lambda *a: passes.append(1) or true(*a))
    frame = pl.DataFrame({"a": [1.0, None], "b": [2.0, 3.0], "c": [0.5, 5.0]}).lazy()
    steps = [
        Impute(columns=("a",), method="mean"),
        Outliers(columns=("b",)),
        Derive(columns={"d": "a + b"}),
        Scale(columns=("c",)),
    ]
    fitted = Recipe(steps).fit(frame)
    assert len(passes) == 1
    assert fitted.steps[3].scales["c"] == (2.75, 2.25)
    # What was changed before is learned from as it is then.
    passes.clear()
    again = Recipe([*steps, Scale(columns=("a", "d"))]).fit(frame)
    assert len(passes) == 2
    assert again.steps[4].scales["d"][0] == pytest.approx((3 + 4) / 2)


def test_lists_are_edited() -> None:
    recipe = Recipe([Deduplicate(), Impute(), Scale()])
    names = lambda edited: [type(step).__name__ for step in edited]  # noqa: E731
    assert names(recipe.insert("Impute", Tidy())) == ["Deduplicate", "Tidy", "Impute", "Scale"]
    assert names(recipe.replace(-1, Bin(column="x"))) == ["Deduplicate", "Impute", "Bin"]
    assert names(recipe.without("deduplicate")) == ["Impute", "Scale"]
    assert Recipe([Impute()]) == Recipe.of(Impute())
    for wrong, words in (
        (lambda: recipe.without("Tidy"), "no step is 'Tidy'"),
        (lambda: recipe.then(Scale()).without("Scale"), "2 steps are Scale"),
        (lambda: recipe.without(3), "no step at 3"),
        (lambda: Recipe(["Impute"]), "is no step"),
        (lambda: Recipe(Impute()), "list of steps"),
    ):
        with pytest.raises(InvalidInput, match=words):
            wrong()


def test_wrong_steps_say_what_to_do() -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0], "c": ["a", None], "g": [1, 2]})
    for step, words in (
        (Impute(columns=("c",), method="constant", value=0), "cannot be filled with 0"),
        (Impute(columns=("x",), method="constant"), "needs a value"),
        (Aggregate(by=("g",), values={"x": "x * 2"}), "no figure of many rows"),
        (Aggregate(by=("g",), values={"x": "sum(w)"}), "not there"),
        (Aggregate(by=("g",), values={"g": "sum(x)"}), "not those of by"),
        (Rolling(columns=("x",), order=("g",), window=1), "at least 2 rows"),
        (Rolling(columns=("x",), order=(), window=2), "needs an order"),
        (Rolling(order=("g",), window=2), "needs columns, or values"),
        (Rolling(order=("g",), window=2, values={"u": "n_unique(x)"}), "has no n_unique"),
        (Rolling(order=("g",), window=2, values={"u": "first(x, by=g)"}), r"write first\(x\)"),
        (Rolling(order=("g",), window=2, values={"u": "sum(x - mean(x))"}), "figure of figures"),
        (Rolling(order=("g",), window=2, values={"u": "sum(w)"}), "not there"),
        (Rolling(order=("g",), window=2, values={"u": "quantile(x, 2)"}), "is not known"),
        (Rolling(columns=("x",), order=("g",), window=2, values={"x_mean2": "sum(x)"}), "one name"),
        (DropColumns(columns=("x", "c", "g")), "leave no column"),
        (RollingTime(columns=("x",), time="g", window="1h"), "goes by dates"),
        (Sort(by=()), "needs a column"),
        (HashEncode(columns=("c",), buckets=1), "2 buckets"),
        (FuzzyDuplicates(column="c", similarity=2), "between 0 and 1"),
        (Derive(columns={"y": "x + c"}), "Derive"),
    ):
        with pytest.raises(InvalidInput, match=words):
            run(step, frame)
