"""Steps against scikit-learn, pandas and rapidfuzz, which were not compared elsewhere."""

from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import JaroWinkler
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    TargetEncoder,
)

from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    AsOf,
    Bin,
    DateParts,
    Deduplicate,
    DropMissing,
    Embed,
    FuzzyDuplicates,
    Impute,
    Join,
    OneHot,
    Ordinal,
    Outliers,
    Rare,
    Recipe,
    Scale,
    TargetEncode,
)
from lepton_ai.storage import Workspace

ALIKE = 0.8123  # no two short texts are just so alike, where rounding would decide
RNG = np.random.default_rng(5)
TABLE = pd.DataFrame(
    {
        "c": RNG.choice(["a", "b", "c", "d"], 200, p=[0.5, 0.3, 0.15, 0.05]),
        "g": RNG.integers(0, 4, 200),
        "t": pd.Timestamp("2023-12-20") + pd.to_timedelta(RNG.permutation(90_000)[:200], unit="m"),
        "x": np.where(RNG.random(200) < 0.2, np.nan, RNG.normal(size=200) ** 3),
        "y": RNG.random(200) < 0.4,
    }
)
TABLE["t"] = TABLE["t"].astype("datetime64[us]")


def run(step: object, frame: pd.DataFrame = TABLE) -> pd.DataFrame:
    return Recipe([step]).fit_apply(frame)[1]


def test_categories_are_encoded_as_scikit_learn_does() -> None:
    column = TABLE[["c"]].astype(object)
    hot = run(OneHot(columns=("c",)))
    peer = OneHotEncoder(sparse_output=False).fit(column)
    np.testing.assert_array_equal(hot[[f"c={v}" for v in "abcd"]], peer.transform(column))
    codes = run(Ordinal(columns=("c",)))["c"]
    np.testing.assert_array_equal(codes, OrdinalEncoder().fit_transform(column)[:, 0])
    # What is rare there is infrequent here.
    rare = run(Rare(columns=("c",), share=0.2))["c"]
    frequent = OneHotEncoder(min_frequency=0.2).fit(column)
    assert set(TABLE["c"][rare == "other"]) == {*frequent.infrequent_categories_[0]}


@pytest.mark.parametrize(("method", "strategy"), [("width", "uniform"), ("quantile", "quantile")])
def test_bins_are_scikit_learns(method: str, strategy: str) -> None:
    known = TABLE.dropna()
    options = {"quantile_method": "linear"} if strategy == "quantile" else {}
    peer = KBinsDiscretizer(6, encode="ordinal", strategy=strategy, **options)
    ours = run(Bin(column="x", method=method, bins=6), known)["x"]
    np.testing.assert_array_equal(ours, peer.fit_transform(known[["x"]])[:, 0])


@pytest.mark.parametrize(
    ("method", "strategy"), [("mean", "mean"), ("median", "median"), ("mode", "most_frequent")]
)
def test_gaps_are_filled_as_scikit_learn_does(method: str, strategy: str) -> None:
    frame = TABLE.assign(x=TABLE["x"].round(1))
    ours = run(Impute(columns=("x",), method=method), frame)["x"]
    peer = SimpleImputer(strategy=strategy).fit_transform(frame[["x"]])[:, 0]
    np.testing.assert_allclose(ours, peer)


def test_gaps_are_carried_forward_as_pandas_does() -> None:
    ours = run(Impute(columns=("x",), method="forward", order=("t",), by=("g",)))
    peer = TABLE.sort_values("t").assign(x=lambda f: f.groupby("g")["x"].ffill())
    pd.testing.assert_series_equal(ours.sort_values("t")["x"], peer["x"], check_index=False)


def test_outliers_are_those_of_pandas() -> None:
    x = TABLE["x"]
    low, high = x.quantile(0.25), x.quantile(0.75)
    bounds: dict[str, tuple[float, float]] = {
        "iqr": (low - 1.5 * (high - low), high + 1.5 * (high - low)),
        "z": (x.mean() - 1.5 * x.std(), x.mean() + 1.5 * x.std()),
        "quantile": (x.quantile(0.05), x.quantile(0.95)),
    }
    for method, (least, most) in bounds.items():
        clipped = Outliers(columns=("x",), method=method, tail=0.05)
        np.testing.assert_allclose(run(clipped)["x"], x.clip(least, most))
        nulled = Outliers(columns=("x",), method=method, tail=0.05, action="null")
        np.testing.assert_allclose(run(nulled)["x"], x.where(x.between(least, most)))


def test_rows_go_as_in_pandas() -> None:
    frame = TABLE.assign(g=TABLE["g"] % 2, c=TABLE["c"].str.replace("d", "a"))
    last = run(Deduplicate(columns=("g", "c"), keep="last", order=("t",)), frame)
    peer = frame.sort_values("t").drop_duplicates(["g", "c"], keep="last")
    assert sorted(last["t"]) == sorted(peer["t"])
    assert len(run(DropMissing(columns=("x", "c")))) == len(TABLE.dropna(subset=["x", "c"]))


def test_logarithms_and_parts_of_dates() -> None:
    ours = run(Scale(columns=("x",), method="log"), TABLE.assign(x=TABLE["x"].abs()))["x"]
    peer = FunctionTransformer(np.log1p).fit_transform(TABLE["x"].abs())
    np.testing.assert_allclose(ours, peer, rtol=1e-12, atol=1e-15)
    parts = run(
        DateParts(column="t", parts=("year", "month", "day", "weekday", "hour", "ordinal_day"))
    )
    for name, peer in {
        "year": TABLE["t"].dt.year, "month": TABLE["t"].dt.month, "day": TABLE["t"].dt.day,
        "weekday": TABLE["t"].dt.day_of_week + 1, "hour": TABLE["t"].dt.hour,
        "ordinal_day": TABLE["t"].dt.day_of_year,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(parts[f"t_{name}"], peer)


def test_training_rows_are_encoded_from_the_other_folds() -> None:
    ours = run(TargetEncode(columns=("c",), target="y", folds=4, smoothing=3))["c"].to_numpy()
    places = np.arange(len(TABLE))
    for fold in range(4):
        inside = places % 4 == fold
        peer = TargetEncoder(smooth=3, target_type="continuous")
        peer.fit(TABLE[["c"]][~inside].astype(object), TABLE["y"][~inside].astype(float))
        expected = peer.transform(TABLE[["c"]][inside].astype(object))[:, 0]
        np.testing.assert_allclose(ours[inside], expected)


def test_meaning_is_scikit_learns() -> None:
    words = ["lung", "heart", "nodule", "clear", "left", "right", "small", "large", "no", "new"]
    texts = [" ".join(RNG.choice(words, 5)) for _ in range(60)]
    ours = Recipe([Embed(column="text", size=3)]).fit_apply(pl.DataFrame({"text": texts}))[1]
    matrix = TfidfVectorizer(max_features=5000).fit_transform(texts)
    peer = TruncatedSVD(3, algorithm="arpack", random_state=0).fit_transform(matrix)
    # Of a component, either sign is right.
    np.testing.assert_allclose(np.abs(ours.to_numpy()), np.abs(peer), atol=1e-8)


def test_joins_are_those_of_pandas(workspace: Workspace) -> None:
    visits = TABLE[["g", "t"]].assign(n=range(len(TABLE)))
    times = pd.Timestamp("2023-12-20") + pd.to_timedelta(RNG.permutation(90_000)[:300], unit="m")
    doses = pd.DataFrame(
        {"g": RNG.integers(0, 5, 300), "t": times.astype("datetime64[us]"), "dose": RNG.random(300)}
    )
    read_table(doses, name="doses")
    wards = pd.DataFrame({"g": [0, 1, 2], "beds": [3, 5, 8]})
    read_table(wards, name="wards")
    steps = [AsOf(table="doses", on="t", by=("g",), within="12h"), Join(table="wards", on=("g",))]
    ours = Recipe(steps).fit_apply(visits)[1]
    assert [*ours["n"]] == [*range(len(TABLE))]
    late, early = visits.sort_values("t"), doses.sort_values("t")
    peer = pd.merge_asof(late, early, on="t", by="g", tolerance=pd.Timedelta("12h"))
    peer = peer.merge(wards, on="g", how="left").sort_values("n")
    assert 0 < peer["dose"].isna().sum() < len(peer)
    for name in ("dose", "beds"):
        np.testing.assert_allclose(ours[name].astype(float), peer[name].astype(float))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abc ", min_size=1, max_size=6), max_size=12))
def test_near_duplicates_are_all_there_are(texts: list[str]) -> None:
    frame = pl.DataFrame(
        {"n": range(len(texts)), "s": texts}, schema={"n": pl.Int64, "s": pl.String}
    )
    step = FuzzyDuplicates(column="s", similarity=ALIKE, order=("n",))
    kept = Recipe([step]).fit_apply(frame)[1].sort("n")
    plain = [" ".join(text.split()) for text in kept["s"]]
    alike = lambda one, other: JaroWinkler.similarity(one, other) >= ALIKE  # noqa: E731
    # No two that stay are alike, and whatever went is like one that stayed before it.
    assert not any(alike(*pair) for pair in combinations([text for text in plain if text], 2))
    before = dict(zip(kept["n"], plain, strict=True))
    for place in set(range(len(texts))) - before.keys():
        gone = " ".join(texts[place].split())
        assert any(alike(text, gone) for n, text in before.items() if n < place and text)
