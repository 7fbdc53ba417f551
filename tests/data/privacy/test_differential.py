"""Differential privacy: precise and private as promised, and never more than was paid for."""

import math
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import AccessDenied, InvalidInput
from lepton_ai.core.settings import Settings
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.privacy.budget import budget_of, set_budget
from lepton_ai.data.privacy.differential import PrivateTable
from lepton_ai.data.read_table import read_table
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace


@pytest.fixture
def table(workspace: Workspace) -> Table:
    chance = np.random.default_rng(5)
    frame = pl.DataFrame(
        {
            "pid": np.repeat(np.arange(500), 2),
            "age": np.repeat(chance.integers(18, 90, 500), 2),
            "ward": np.repeat(chance.choice(["a", "b", "c"], 500), 2),
        }
    )
    made = read_table(frame, name="visits")
    set_budget(workspace, "visits", 100.0)
    return made


def test_answers_are_as_precise_as_promised(table: Table) -> None:
    private = PrivateTable(table)
    truth = table.to_polars()
    ages = truth["age"]
    count = private.count(epsilon=2.0)
    assert count.accuracy is not None
    assert abs(count.value - 1000) <= 4 * count.accuracy
    total = private.sum("age", (0, 120), epsilon=2.0)
    assert total.accuracy == pytest.approx(120 / 2 * math.log(1 / 0.05), rel=1e-3)
    assert abs(total.value - ages.sum()) <= 4 * total.accuracy
    assert private.mean("age", (0, 120), epsilon=2.0).value == pytest.approx(ages.mean(), abs=3)
    median = private.quantile("age", 0.5, (0, 120), epsilon=2.0).value
    assert median == pytest.approx(ages.median(), abs=4)
    wards = private.histogram("ward", ["a", "b", "c"], epsilon=2.0)
    true = Counter(truth["ward"])
    assert wards.accuracy is not None
    assert all(abs(wards.value[ward] - true[ward]) <= 4 * wards.accuracy for ward in "abc")
    (release,) = (n for n in table.workspace.lineage.list("release") if n.id == count.id)
    assert release.facts["value"] == count.value


def test_people_count_once(table: Table) -> None:
    values = [PrivateTable(table, "pid").count(epsilon=5.0).value for _ in range(3)]
    assert np.mean(values) == pytest.approx(500, abs=5)
    # Two rows a person cost twice the noise.
    twice = PrivateTable(table, "pid", rows_per_subject=2).count(epsilon=1.0)
    once = PrivateTable(table, "pid").count(epsilon=1.0)
    assert twice.accuracy == pytest.approx(2 * (once.accuracy or 0), rel=1e-6)


def test_the_loss_that_an_attacker_sees_stays_within_epsilon(workspace: Workspace) -> None:
    # Two tables that differ in one person; the odds of any answer differ by e^epsilon at most.
    epsilon, asked = 0.5, 1500
    set_budget(workspace, "with", epsilon * asked + 1)
    set_budget(workspace, "without", epsilon * asked + 1)
    answers = {}
    for name, rows in (("with", 4), ("without", 3)):
        private = PrivateTable(read_table({"x": [1.0] * rows}, name=name))
        measurement = private._measurement(_count(), epsilon)
        answers[name] = Counter(measurement([1] * rows) for _ in range(asked * 20))
    both = [v for v in answers["with"] if min(a[v] for a in answers.values()) > 300]
    assert len(both) > 5
    for value in both:
        odds = answers["with"][value] / answers["without"][value]
        assert abs(math.log(odds)) <= epsilon + 0.25
    shift = math.log(answers["with"][6] / answers["without"][6])
    assert shift == pytest.approx(epsilon, abs=0.25)


def _count():
    import opendp.prelude as dp

    domain = dp.vector_domain(dp.atom_domain(T=int)), dp.symmetric_distance()
    return domain >> dp.t.then_count()


def test_the_budget_cannot_be_overdrawn_or_walked_around(
    table: Table, workspace: Workspace, tmp_path: Path
) -> None:
    set_budget(workspace, "visits", 1.0)
    private = PrivateTable(table)
    assert private.count(epsilon=0.6).left == {"visits": pytest.approx(0.4)}
    with pytest.raises(AccessDenied, match=r"0\.4 of 1 left"):
        private.count(epsilon=0.5)
    # A new version, a branch, a derived copy and a selection pay from the same budget.
    newer = table.append(table.to_polars().head(1))
    branch = newer.branch("b")
    copy = sql("select age, pid from visits", workspace=workspace).save("copy")
    for other in (newer, branch, copy, newer[["age"]]):
        with pytest.raises(AccessDenied):
            PrivateTable(other).count(epsilon=0.5)
    assert PrivateTable(copy).count(epsilon=0.4).left == {"visits": pytest.approx(0.0)}
    found = budget_of(workspace, "visits")
    assert found is not None
    assert (found.answers, found.spent) == (2, pytest.approx(1.0))
    path = tmp_path / "rows.csv"
    table.to_polars().write_csv(path)
    read_table(path, name="one")
    set_budget(workspace, "one", 0.1)
    with pytest.raises(AccessDenied):
        PrivateTable(read_table(path, name="two")).count(epsilon=0.2)
    with pytest.raises(InvalidInput, match="budget"):
        PrivateTable(read_table({"x": [1]}, name="free")).count(epsilon=0.1)
    with acting_as("guest"), pytest.raises(AccessDenied):
        set_budget(workspace, "visits", 9.0)


def _ask(home: str) -> int:
    workspace = Workspace.open(settings=Settings(home=Path(home)))
    table = open_dataset("visits", workspace)
    assert isinstance(table, Table)
    granted = 0
    for _ in range(5):
        try:
            PrivateTable(table).count(epsilon=0.1)
            granted += 1
        except AccessDenied:
            pass
    return granted


def test_many_processes_spend_no_more_than_there_is(table: Table, workspace: Workspace) -> None:
    set_budget(workspace, "visits", 0.75)
    with ProcessPoolExecutor(3) as pool:
        granted = sum(pool.map(_ask, [str(workspace.home)] * 3))
    assert granted == 7


def test_what_makes_no_sense_is_refused_and_costs_nothing(
    table: Table, workspace: Workspace
) -> None:
    private = PrivateTable(table)
    for ask in (
        lambda: private.sum("nothing", (0, 1), epsilon=1),
        lambda: private.sum("ward", (0, 1), epsilon=1),
        lambda: private.sum("age", (1, 1), epsilon=1),
        lambda: private.sum("age", (0, math.inf), epsilon=1),
        lambda: private.count(epsilon=0),
        lambda: private.count(epsilon=math.nan),
        lambda: private.quantile("age", 1, (0, 1), epsilon=1),
        lambda: private.histogram("ward", [], epsilon=1),
        lambda: PrivateTable(table, "nobody"),
        lambda: PrivateTable(table[:100]),
        lambda: PrivateTable(table, "pid", rows_per_subject=0),
    ):
        with pytest.raises(InvalidInput):
            ask()
    found = budget_of(workspace, "visits")
    assert found is not None
    assert found.spent == 0
