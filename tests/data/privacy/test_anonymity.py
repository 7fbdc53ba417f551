"""k-anonymity, l-diversity, t-closeness: measured by hand-checked values, enforced always."""

from collections import Counter, defaultdict
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.privacy.anonymity import anonymise, measure_anonymity
from lepton_ai.data.read_table import read_frame


def test_measured_as_by_hand() -> None:
    frame = pl.DataFrame(
        {
            "age": [30, 30, 30, 40, 40, 50],
            "sex": ["f", "f", "f", "m", "m", "f"],
            "ill": ["flu", "flu", "hiv", "flu", "flu", "hiv"],
        }
    )
    found = measure_anonymity(frame, ["age", "sex"], ["ill"])
    assert (found.rows, found.classes, found.k, found.unique) == (6, 3, 1, 1)
    assert found.smallest == (1, 2, 3)
    assert found.l == {"ill": 1}
    # All: 4 flu, 2 hiv. The one of 50 has hiv only: |0 - 4/6| = 2/3 is moved.
    assert found.t["ill"] == pytest.approx(2 / 3)
    assert "k = 1" in str(found)
    assert measure_anonymity(frame, ["sex"]).k == 2
    assert measure_anonymity(frame.clear(), ["sex"], ["ill"]).k == 0


ROWS = st.lists(
    st.tuples(
        st.integers(0, 90),
        st.sampled_from("fmx"),
        st.floats(0, 1),
        st.sampled_from(["a", "b", "c"]),
    ),
    min_size=8,
    max_size=120,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, k=st.integers(1, 8), wanted=st.integers(1, 2))
def test_nobody_ever_stands_alone(
    rows: list[tuple[int, str, float, str]], k: int, wanted: int
) -> None:
    frame = pl.DataFrame(rows, schema=["age", "sex", "x", "ill"], orient="row")
    if wanted > frame["ill"].n_unique():
        with pytest.raises(InvalidInput, match="ask for less"):
            anonymise(frame, ["age", "sex", "x"], k=k, l=wanted, sensitive=["ill"])
        return
    done = anonymise(frame, ["age", "sex", "x"], k=k, l=wanted, sensitive=["ill"])
    # Counted again, by plain Python.
    sizes = Counter(done.frame.select("age", "sex", "x").rows())
    assert min(sizes.values()) >= k
    diverse = defaultdict(set)
    for *group, ill in done.frame.select("age", "sex", "x", "ill").rows():
        diverse[tuple(group)].add(ill)
    assert min(map(len, diverse.values())) >= wanted
    assert done.after.k == min(sizes.values())
    assert done.frame.height == frame.height
    assert done.frame["ill"].to_list() == frame["ill"].to_list()
    # Each row lies within what its group says.
    for told, true in zip(done.frame["age"], frame["age"], strict=True):
        low, _, high = told.partition(" - ")
        assert int(low) <= true <= int(high or low)
    for told, true in zip(done.frame["sex"], frame["sex"], strict=True):
        assert true in told.split(" | ")
    assert all(0 <= loss <= 1 for loss in done.loss.values())


def test_what_cannot_be_is_refused() -> None:
    frame = pl.DataFrame({"age": [1, 2, 3, None], "ill": ["a"] * 4})
    with pytest.raises(InvalidInput, match="empty quasi"):
        anonymise(frame, ["age"], k=2)
    assert anonymise(frame, ["age"], k=3, suppress=0.25).suppressed == 1
    with pytest.raises(InvalidInput, match="ask for less"):
        anonymise(frame, ["age"], k=4, suppress=1)
    with pytest.raises(InvalidInput, match="unknown"):
        anonymise(frame, ["name"])
    with pytest.raises(InvalidInput, match="at once"):
        measure_anonymity(frame, ["age"], ["age"])
    with pytest.raises(InvalidInput, match="sensitive"):
        anonymise(frame, ["age"], l=2)


def test_german_credit(datasets: Path) -> None:
    credit = read_frame(next((datasets / "finance").rglob("*.arff")))
    quasi = ["age", "personal_status", "job"]
    done = anonymise(credit, quasi, k=10, l=2, sensitive=["class"])
    assert done.before.k == 1
    assert done.after.k >= 10
    assert done.after.l["class"] >= 2
    # It still tells something: groups are far smaller than the whole.
    assert done.after.classes > 20
    assert max(done.loss.values()) < 0.6
