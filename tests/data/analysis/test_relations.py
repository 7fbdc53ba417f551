"""What goes with what, against other implementations; leaks that were planted, and none else."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import mutual_info_score

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis import (
    class_balance,
    correlations,
    leakage_suspects,
    target_associations,
)
from lepton_ai.data.analysis.measures import contingency, entropy
from lepton_ai.data.read_table import read_frame


@pytest.fixture(scope="module")
def mixed() -> pl.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=600)
    y = x + random.normal(size=600)
    y[random.random(600) < 0.1] = np.nan
    word = random.choice(["a", "b", "c"], 600)
    other = np.where(random.random(600) < 0.5, word, random.choice(["a", "b", "c"], 600))
    return pl.DataFrame(
        {"x": x, "y": y, "z": np.round(y + (word == "a")), "word": word, "other": other}
    )


def test_correlations_are_those_of_pandas_and_scipy(mixed: pl.DataFrame) -> None:
    frame = mixed.to_pandas()
    numbers = frame[["x", "y", "z"]]
    for method in ("pearson", "spearman"):
        found = correlations(mixed, method)
        assert found.columns == ("x", "y", "z")
        np.testing.assert_allclose(found.matrix, numbers.corr(method), atol=1e-9)
    found = correlations(mixed)
    # Epsilon squared, by the F test: (F - 1) of the groups' degrees of freedom.
    known = frame.dropna()
    f = stats.f_oneway(*(known.z[known.word == word] for word in "abc")).statistic
    shape = known.shape[0] - 3
    assert found["word", "z"] ** 2 == pytest.approx((f - 1) * 2 / (f * 2 + shape))
    table = pd.crosstab(frame.word, frame.other).to_numpy()
    phi2 = stats.chi2_contingency(table, correction=False).statistic / 600
    corrected = max(0, phi2 - 4 / 599) / (3 - 4 / 599 - 1)
    assert found["word", "other"] == pytest.approx(np.sqrt(corrected))
    shared = correlations(mixed, "mutual information")["word", "other"]
    least = min(entropy(table.sum(axis=0)), entropy(table.sum(axis=1)))
    assert shared == pytest.approx(mutual_info_score(frame.word, frame.other) / least)
    first = found.strongest(1)[0]
    assert (first.a, first.b, first.measure) == ("y", "z", "spearman")
    assert found.to_polars().shape == (5, 6)


def test_constant_columns_and_infinities_are_left_out_or_ignored(mixed: pl.DataFrame) -> None:
    before = correlations(mixed)
    odd = mixed.with_columns(one=pl.lit(1), none=pl.lit(None, dtype=pl.Float64))
    after = correlations(odd[np.random.default_rng(0).permutation(600)])
    np.testing.assert_allclose(before.matrix, after.matrix, atol=1e-9)
    assert {(item.column, item.reason) for item in after.left_out} == {
        ("one", "is constant"),
        ("none", "has no value"),
    }
    wild = correlations({"a": [1.0, 2.0, float("inf"), 4.0], "b": [2.0, 4.0, 1.0, 8.0]}, "pearson")
    assert wild["a", "b"] == pytest.approx(1)
    with pytest.raises(InvalidInput, match="no column"):
        correlations({"a": [1], "b": ["x"]})


def test_target_associations_have_the_chances_of_scipy(mixed: pl.DataFrame) -> None:
    frame = mixed.to_pandas()
    found = {item.column: item for item in target_associations(mixed, "word").items}
    groups = [frame.z[(frame.word == word) & frame.z.notna()] for word in "abc"]
    assert found["z"].p == pytest.approx(stats.f_oneway(*groups).pvalue)
    table = contingency(
        *(frame[c].astype("category").cat.codes.to_numpy() for c in ("word", "other"))
    )
    assert found["other"].p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    p = [item.p for item in found.values()]
    assert [item.q for item in found.values()] == pytest.approx(stats.false_discovery_control(p))
    rank = {item.column: item for item in target_associations(mixed, "y").items}["x"]
    known = frame.dropna()
    assert rank.p == pytest.approx(stats.spearmanr(known.x, known.y).pvalue, rel=1e-3)
    assert rank.direction == 1


def test_many_small_groups_of_noise_are_not_strong() -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=300)
    group = [f"c{n}" for n in random.integers(0, 90, 300)]
    frame = pl.DataFrame({"y": y, "group": group, "real": 0.6 * y + random.normal(size=300)})
    first, last = target_associations(frame, "y").items
    assert (first.column, last.column) == ("real", "group")
    assert last.strength < 0.3  # uncorrected it is above that of the real one
    assert correlations(frame)["y", "group"] == pytest.approx(last.strength)


def test_noise_goes_with_nothing() -> None:
    random = np.random.default_rng(2)
    found, tested = 0, 0
    for _ in range(20):
        frame = pl.DataFrame(random.normal(size=(200, 20))).with_columns(
            word=pl.Series(random.choice(["a", "b", "c"], 200)),
            target=pl.Series(random.choice(["yes", "no"], 200)),
        )
        items = target_associations(frame, "target").items
        found += any(item.q is not None and item.q < 0.05 for item in items)
        tested += sum(item.p is not None and item.p < 0.05 for item in items)
        assert not leakage_suspects(frame, "target").suspects
        assert not leakage_suspects(frame.drop("target"), "column_0").suspects
    assert found <= 4  # 5% of twenty tables is one
    assert tested <= 40  # 5% of 420 columns is 21


def test_planted_leaks_are_found_each_with_its_reason(datasets: Path) -> None:
    credit = read_frame(datasets / "finance/german_credit/credit-g.arff")
    assert not leakage_suspects(credit, "class").suspects
    bad = pl.col("class") == "bad"
    row = pl.int_range(pl.len())
    planted = credit.with_columns(
        copy=pl.col("class").replace({"good": "g1", "bad": "b0"}),
        number=row + 1000,
        closed=pl.when(bad).then(pl.date(2024, 1, 1) + pl.duration(days=row % 90)),
        nearly=pl.when(row % 100 == 0).then(0).otherwise(bad.cast(pl.Int64)),
        measured=bad.cast(pl.Float64) * 5 + (row % 97) / 97,
        applied=pl.date(2023, 1, 1) + pl.duration(days=row % 300),
        decided=pl.date(2023, 1, 1) + pl.duration(days=row % 300 + 5),
    )
    found = leakage_suspects(planted, "class", time="applied")
    worst = {}
    for suspect in found.suspects:
        worst.setdefault(suspect.column, suspect)
    assert set(worst) == {"copy", "number", "closed", "nearly", "measured", "decided"}
    assert "follows from" in worst["copy"].reason
    assert "names its rows" in worst["number"].reason
    assert "only where 'class' is 'bad'" in worst["closed"].reason
    assert "alone predicts" in worst["nearly"].reason
    assert "alone predicts" in worst["measured"].reason
    assert "later than 'applied'" in worst["decided"].reason
    twice = pl.concat([credit, credit.head(30)])
    assert leakage_suspects(twice, "class").repeated == 30
    found.plot().canvas.draw()


def test_few_values_are_no_leak() -> None:
    random = np.random.default_rng(0)
    price = random.normal(size=500)
    told: list[float | None] = [*sorted(price[:3].tolist()), *[None] * 497]
    frame = pl.DataFrame({"price": np.sort(price), "told": told, "kind": ["a", "b"] * 250})
    frame = frame.with_columns(seen=pl.Series(["x", "y", *[None] * 498]))
    assert not leakage_suspects(frame.drop("seen", "kind"), "price").suspects
    assert not leakage_suspects(frame.drop("price", "told"), "kind").suspects
    assert not leakage_suspects(
        {"price": [1.5, 2.5, 3.0, 4.0], "size": [1, 2, 3, 4]}, "price"
    ).suspects


def test_small_classes_are_no_leak() -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        frame = {
            "ward": random.integers(0, 60, 40).astype(str),
            "flag": random.random(40) < 0.05,
            "result": random.choice(["u", "v"], 40),
        }
        assert not leakage_suspects(frame, "ward").suspects


def test_nan_is_a_gap_like_any_other() -> None:
    random = np.random.default_rng(0)
    ill = (np.arange(500) % 5 == 0).astype(float)
    dose = np.where((ill == 1) & (random.random(500) < 0.6), random.normal(size=500), np.nan)
    ill[:9] = np.nan
    frame = {"ill": ill, "dose": dose, "age": random.normal(size=500)}
    (nan,) = leakage_suspects(frame, "ill").suspects
    (null,) = leakage_suspects(pl.DataFrame(frame).fill_nan(None), "ill").suspects
    assert "has a value almost only where 'ill' is '1'" in nan.reason
    assert nan == null


def test_a_sample_shows_what_names_the_rows() -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "number": random.permutation(3000) + 7,
            "income": random.integers(0, 10**6, 3000),
            "few": random.integers(0, 2000, 3000),
            "y": random.integers(0, 2, 3000),
        }
    )
    for rows in (3000, 1000):
        found = leakage_suspects(frame, "y", rows=rows).suspects
        assert [(s.column, s.reason[:14]) for s in found] == [("number", "names its rows")]
        assert [c.column for c in correlations(frame, rows=rows).left_out] == ["number"]
    assert not correlations(frame, rows=30).left_out  # too few to tell


def test_time_is_of_dates() -> None:
    frame = {"y": ["a", "b"] * 20, "day": ["2024-01-01"] * 40, "step": range(40)}
    with pytest.raises(InvalidInput, match="time='day' holds String"):
        leakage_suspects(frame, "y", time="day")
    assert leakage_suspects(frame, "y", time="step").suspects


def test_a_number_is_given_away_by_its_own_multiple() -> None:
    random = np.random.default_rng(3)
    price = random.lognormal(size=500)
    frame = pl.DataFrame(
        {"price": price, "tax": price * 0.2, "size": price + random.normal(size=500)}
    )
    found = leakage_suspects(frame, "price").suspects
    assert [(s.column, s.severity) for s in found] == [("tax", "severe")]


def test_breast_cancer_has_strong_columns_but_no_leak() -> None:
    frame = pl.from_pandas(load_breast_cancer(as_frame=True).frame)
    found = target_associations(frame, "target")
    assert found.items[0].column in ("worst concave points", "worst perimeter")
    ill, well = frame.filter(target=0), frame.filter(target=1)
    p = [stats.f_oneway(ill[item.column], well[item.column]).pvalue for item in found.items]
    q = stats.false_discovery_control(p)
    np.testing.assert_allclose([item.q for item in found.items], q, rtol=1e-6)
    assert not [s for s in leakage_suspects(frame, "target").suspects if s.severity == "severe"]
    found.plot().canvas.draw()


def test_class_balance_by_hand() -> None:
    found = class_balance({"c": ["a"] * 90 + ["b"] * 8 + [None] * 2}, "c")
    assert [(c.label, c.rows) for c in found.classes] == [("a", 90), ("b", 8)]
    assert found.classes[0].share == pytest.approx(90 / 98)
    assert (found.missing, found.ratio) == (2, 11.25)
    assert found.evenness == pytest.approx(stats.entropy([90, 8], base=2))
    assert "fewer than 10 rows: b" in str(found)
    with pytest.raises(InvalidInput, match="no classes"):
        class_balance({"c": [None, None]}, "c")
    with pytest.raises(InvalidInput, match="different values"):
        target_associations({"c": [1, 1], "d": [1, 2]}, "c")


def test_dates_are_measured() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(60)]
    assert correlations({"day": days, "x": range(0, 120, 2)}, "pearson")["day", "x"] == (
        pytest.approx(1)
    )
