"""Groups, unusual rows, rules and seasons: those that were planted, and none in noise."""

import datetime as dt
import itertools
import lzma
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlxtend.frequent_patterns import apriori
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import adjusted_rand_score
from statsmodels.tsa.seasonal import STL

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis import anomalies, association_rules, clusters, decompose
from lepton_ai.data.analysis.periods import periods_of
from lepton_ai.data.analysis.timeline import Timeline


@pytest.mark.parametrize("method", ["k-means", "hdbscan"])
def test_planted_groups_are_found_and_described(method: str) -> None:
    random = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], [300, 200, 100])
    frame = pl.DataFrame(
        {
            "x": group * 8.0 + random.normal(size=600),
            "y": (group == 1) * 8.0 + random.normal(size=600),
            "z": (group == 2) * 8.0 + random.normal(size=600),
            "noise": random.random(600) / 100,
            "row": range(600),
            "one": [1] * 600,
        }
    )
    columns = None if method == "k-means" else ["x", "y", "z"]
    found = clusters(frame, method=method, columns=columns)
    inside = found.labels >= 0
    assert adjusted_rand_score(group[inside], found.labels[inside]) > 0.95
    assert inside.mean() > 0.8
    assert [g.label for g in found.groups if g.label >= 0] == [0, 1, 2]
    first = next(trait for trait in found.groups[1].traits)
    assert first.column == "y"
    if method == "k-means":
        assert {item.column for item in found.left_out} == {"row", "one"}
        assert [g.rows for g in found.groups] == [300, 200, 100]
    found.plot().canvas.draw()
    assert found.to_polars().height == 600


def test_three_kinds_of_rows_are_three_groups() -> None:
    found = clusters({"kind": ["a", "b", "c"] * 20})
    assert [g.rows for g in found.groups] == [20, 20, 20]
    assert found.silhouette[3] == pytest.approx(1)


def test_the_largest_numbers_form_groups_too() -> None:
    found = clusters({"a": [1e308, -1e308, 1e307] * 20, "b": range(60)}, k=3)
    assert [g.rows for g in found.groups] == [20, 20, 20]


def test_noise_is_said_to_be_hardly_apart() -> None:
    noise = pl.DataFrame(np.random.default_rng(0).normal(size=(500, 8)))
    assert "hardly apart" in str(clusters(noise))
    dense = clusters(noise, method="hdbscan")
    assert len([g for g in dense.groups if g.label >= 0]) <= 3


def test_breast_cancer_falls_into_its_two_kinds() -> None:
    frame = pl.from_pandas(load_breast_cancer(as_frame=True).frame)
    found = clusters(frame.drop("target"))
    assert len(found.groups) == 2
    assert adjusted_rand_score(frame["target"].to_numpy(), found.labels) > 0.6


def test_planted_anomalies_lead_with_their_reasons() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=1000)
    frame = pl.DataFrame({"x": x, "y": random.normal(size=1000), "kind": ["usual"] * 999 + ["odd"]})
    frame = frame.with_columns(
        x=pl.when(pl.int_range(1000) == 17).then(40.0).otherwise(pl.col("x")),
        y=pl.when(pl.int_range(1000) == 999).then(-20.0).otherwise(pl.col("y")),
    )
    found = anomalies(frame, share=0.003)
    assert {item.row for item in found.rows} >= {17, 999}
    reasons = {item.row: item.reasons for item in found.rows}
    assert reasons[17][0].startswith("x 40 is 4")
    assert any("kind is 'odd', as in 0.1%" in why for why in reasons[999])
    assert any("y -20" in why and "below the median" in why for why in reasons[999])
    found.plot().canvas.draw()
    assert found.to_polars()["row"].to_list() == [item.row for item in found.rows]


def test_rules_are_those_of_counting() -> None:
    random = np.random.default_rng(0)
    bread = random.random(400) < 0.5
    frame = pl.DataFrame(
        {
            "bread": bread,
            "butter": np.where(random.random(400) < 0.9, bread, ~bread),
            "milk": random.random(400) < 0.5,
        }
    )
    found = association_rules(frame)
    best = next(r for r in found.rules if r.when == ("bread = true",))
    both = frame.filter("bread", "butter").height
    assert best.then == ("butter = true",)
    assert (best.rows, best.support) == (both, pytest.approx(both / 400))
    assert best.confidence == pytest.approx(both / frame["bread"].sum())
    assert best.lift == pytest.approx(best.confidence / (frame["butter"].sum() / 400))
    assert not [r for r in found.rules if len(r.when) == 1 and "milk" in str(r)]
    found.plot().canvas.draw()


@pytest.mark.parametrize("longest", [3, 4])
def test_just_enough_is_enough_however_long_the_rule(longest: int) -> None:
    frame = {"ill": np.arange(12) < 5, "old": np.arange(12) < 4}
    found = association_rules(frame, confidence=0.8, longest=longest).rules  # 4 of 5
    assert (("ill = true",), ("old = true",)) in {(r.when, r.then) for r in found}


def test_a_value_called_other_is_not_all_others() -> None:
    words = ["other"] * 50 + [f"v{n}" for n in range(150)] * 2
    frame = {"word": words, "y": ["p", "q"] * 175}
    found = association_rules(frame, confidence=0.1, lift=0.1, target="word").rules
    assert {r.then for r in found} == {("word = other",), ("word = any other",)}


def test_ranges_are_those_of_the_column() -> None:
    start = dt.date(2024, 1, 1)
    frame = pl.DataFrame(
        {
            "day": [start + dt.timedelta(days=n) for n in range(90)],
            "income": [1_234_500 + n for n in range(0, 900, 10)],
            "near": [1 + n * 1e-9 for n in range(90)],
            "third": np.repeat(["low", "mid", "high"], 30),
        }
    )
    found = association_rules(frame, target="third", longest=2, support=0.3)
    ranges = {r.when[0] for r in found.rules if r.then == ("third = mid",)}
    assert ranges == {
        "day over 2024-01-30 to 2024-02-29",
        "income over 1,234,790 to 1,235,090",
        "near over 1.000000029 to 1.000000059",
    }


def test_baskets_have_the_sets_that_apriori_finds() -> None:
    random = np.random.default_rng(1)
    goods = ["tea", "jam", "salt", "oil"]
    baskets = [[g for g in goods if random.random() < 0.6] for _ in range(200)]
    baskets = [[*b, "cup"] if "tea" in b else b for b in baskets]
    found = association_rules({"basket": baskets}, support=0.1, confidence=0.7, lift=1.05)
    told = pl.DataFrame({g: [g in b for b in baskets] for g in [*goods, "cup"]}).to_pandas()
    shares = apriori(told, min_support=0.1, use_colnames=True, max_len=3)
    share = {
        frozenset(items): value
        for items, value in zip(shares.itemsets, shares.support, strict=True)
    }
    expected = {
        (whole - {then}, then)
        for whole, then in itertools.chain.from_iterable(
            ((items, then) for then in items) for items in share if len(items) > 1
        )
        if share[whole] / share[whole - {then}] >= 0.7
        and share[whole] / share[whole - {then}] / share[frozenset([then])] >= 1.05
    }
    ours = {
        (frozenset(w.removeprefix("basket: ") for w in r.when), r.then[0].removeprefix("basket: "))
        for r in found.rules
    }
    assert ours == expected


def test_counting_finds_what_fp_growth_finds() -> None:
    random = np.random.default_rng(2)
    level = random.normal(size=300)
    frame = pl.DataFrame({f"s{n}": level + random.normal(size=300) for n in range(4)})
    frame = frame.with_columns(k=pl.Series(random.choice(["a", "b"], 300)))
    for target in (None, "k"):
        limits = {"support": 0.07, "confidence": 0.5, "lift": 1.02, "target": target}
        short = association_rules(frame, longest=3, **limits).rules
        every = association_rules(frame, longest=4, **limits).rules
        long = {(r.when, r.then): (r.rows, r.lift) for r in every if len(r.when) < 3}
        assert {(r.when, r.then): (r.rows, pytest.approx(r.lift)) for r in short} == long
        assert long


def test_a_rule_that_a_shorter_one_says_is_not_shown() -> None:
    bread = np.arange(100) < 40
    found = association_rules(
        {"bread": bread, "butter": bread, "milk": np.arange(100) % 2 == 0}, support=0.1
    )
    longer = [r for r in found.rules if len(r.when) == 2 and r.then == ("butter = true",)]
    assert longer
    assert not [r for r in found.telling if len(r.when) == 2]
    assert "say no more than a shorter one" in str(found)


def test_rules_of_sensors_that_move_together_take_no_time() -> None:
    level = np.random.default_rng(3).normal(size=(2000, 1))
    readings = level + np.random.default_rng(4).normal(size=(2000, 40)) / 10
    before = time.process_time()
    found = association_rules(pl.DataFrame(readings), lift=2)
    assert len(found.rules) == 10_000
    assert time.process_time() - before < 30  # FP-growth takes many times that


def test_a_planted_season_trend_and_anomaly_are_found() -> None:
    random = np.random.default_rng(0)
    steps = np.arange(24 * 40)
    values = 0.02 * steps + 5 * np.sin(2 * np.pi * steps / 24) + random.normal(0, 0.3, steps.size)
    values[500] += 9
    hours = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=int(n)) for n in steps]
    frame = pl.DataFrame({"at": hours, "load": values})
    found = decompose(frame.sample(fraction=1, shuffle=True, seed=1), "load", time="at")
    assert list(found.seasons) == [24]
    assert found.spans[24] == "24 steps (1 day)"
    other = STL(values, period=24, trend_jump=2, low_pass_jump=2).fit()
    np.testing.assert_allclose(found.trend, other.trend, atol=1e-9)
    np.testing.assert_allclose(
        found.observed, found.trend + found.seasons[24] + found.rest, atol=1e-9
    )
    assert found.trend_strength > 0.95
    assert found.season_strength[24] > 0.95
    found.plot().canvas.draw()
    assert found.to_dict()["anomalies"][0]["step"] == 500
    # Robust, the season does not follow the one that is odd.
    robust = decompose(frame, "load", time="at", robust=True)
    first, *others = robust.anomalies
    assert (first.step, first.time[:13]) == (500, "2024-01-21T20")
    assert all(abs(odd.spreads) < abs(first.spreads) / 5 for odd in others)


@pytest.mark.parametrize("cycles", [3, 5, 8])
def test_a_robust_fit_of_a_short_series_finds_nothing_odd_in_noise(cycles: int) -> None:
    random = np.random.default_rng(0)
    steps = np.arange(24 * cycles)
    values = np.sin(2 * np.pi * steps / 24) + random.normal(0, 0.3, steps.size)
    found = decompose(values, periods=np.int64(24), robust=True)
    assert len(found.anomalies) <= 1


def test_months_are_steps_though_they_differ() -> None:
    random = np.random.default_rng(0)
    months = [dt.date(2000 + n // 12, 1 + n % 12, 1) for n in range(240)]
    values = 3 * np.sin(2 * np.pi * np.arange(240) / 12) + random.normal(0, 0.2, 240)
    found = decompose({"month": months, "sold": values}, "sold", time="month")
    np.testing.assert_array_equal(found.observed, values)
    assert found.times[:3].astype("datetime64[D]").tolist() == months[:3]
    assert list(found.seasons) == [12]
    assert found.spans[12] == "12 steps (365.2 days)"
    # Some months are missing, and five years.
    left = [0, *(n for n in range(1, 239) if random.random() < 0.9 and not 90 <= n < 150), 239]
    line = Timeline({"month": [months[n] for n in left], "n": left}, "n", "month")
    np.testing.assert_allclose(line.values, np.arange(240))


def test_steps_need_not_be_exact_and_values_of_one_are_averaged() -> None:
    random = np.random.default_rng(0)
    start = dt.datetime(2024, 1, 1)
    at = [start + dt.timedelta(minutes=5 * n, seconds=random.normal() * 3) for n in range(600)]
    line = Timeline({"at": at, "load": np.arange(600.0)}, "load", "at")
    np.testing.assert_array_equal(line.values, np.arange(600))
    assert line.span(12) == "12 steps (1 hour)"
    # A gap, two in one step, and one that says nothing.
    at = [start + dt.timedelta(minutes=n) for n in (0, 1, 2, 3, 5, 6, 6.1, 7, 7.1)]
    values = [0.0, 1.0, 2.0, 3.0, 5.0, 5.0, 7.0, 7.0, float("nan")]
    line = Timeline({"at": at, "load": values}, "load", "at")
    np.testing.assert_array_equal(line.values, np.arange(8))
    assert line.filled == 1


def test_a_period_is_exact_in_noise() -> None:
    random = np.random.default_rng(0)
    steps = np.arange(24 * 30)
    wave = np.sin(2 * np.pi * steps / 24)
    found = [periods_of(wave + random.normal(size=steps.size)) for _ in range(30)]
    assert sum([length for length, *_ in lengths] == [24] for lengths in found) >= 27


def test_noise_has_no_season_and_a_straight_line_none() -> None:
    random = np.random.default_rng(0)
    assert sum(bool(periods_of(random.normal(size=600))) for _ in range(100)) <= 2
    assert sum(bool(periods_of(random.normal(size=60))) for _ in range(100)) <= 5
    assert sum(bool(periods_of(random.normal(size=600).cumsum())) for _ in range(50)) <= 10
    assert not periods_of(np.arange(100.0))
    with pytest.raises(InvalidInput, match="no rhythm"):
        decompose(np.zeros(100))


def test_traffic_has_days_and_weeks(datasets: Path) -> None:
    flow = np.load(datasets / "city/pems08/pems08_flow_t10713_17855.npz")
    values = flow[flow.files[0]][:, 0].astype(float)
    found = decompose(values)
    assert list(found.seasons) == [288, 2016]
    assert found.method == "MSTL"
    assert found.season_strength[288] > 0.9


def test_engines_wear_out(datasets: Path) -> None:
    text = lzma.decompress((datasets / "manufacturing/cmapss/train_FD001.txt.xz").read_bytes())
    rows = [[float(word) for word in line.split()] for line in text.decode().splitlines()]
    names = ["unit", "cycle", *(f"set{n}" for n in range(3)), *(f"s{n}" for n in range(1, 22))]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    found = clusters(frame.drop("unit", "cycle"), rows=5000)
    assert {"set2", "s1", "s10"} <= {item.column for item in found.left_out}
    # Worn engines are a group of their own: late cycles.
    chosen = frame[found.places]
    left = chosen.with_columns(group=pl.Series(found.labels)).group_by("group")
    cycles = left.agg(pl.col("cycle").mean())["cycle"]
    assert cycles.max() > 1.5 * cycles.min()


@pytest.mark.parametrize(
    "call",
    [
        lambda: clusters({"a": [1, 2]}),
        lambda: clusters({"a": [1] * 30}),
        lambda: clusters({"a": [1.0, 2.0] * 20}, k=1),
        lambda: anomalies({"a": [None] * 30}),
        lambda: anomalies({"a": range(30)}, share=2),
        lambda: association_rules({"a": range(1000)}, support=0.9),
        lambda: association_rules({"a": [1, 2]}, confidence=2),
        lambda: decompose({"a": ["x"] * 30}, "a"),
        lambda: decompose([1.0, 2.0, 3.0] * 9, periods=20),
        lambda: decompose({"a": range(10), "b": range(10)}),
    ],
)
def test_what_cannot_be_answered_is_said(call) -> None:
    with pytest.raises(InvalidInput):
        call()
