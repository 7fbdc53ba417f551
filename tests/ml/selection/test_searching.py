import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from sklearn.datasets import load_wine

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import Outliers, Recipe, TargetEncode
from lepton_ai.ml import zoo
from lepton_ai.ml.examples import Examples, gather
from lepton_ai.ml.selection import candidates, ground, searching
from lepton_ai.ml.selection.candidates import Candidate
from lepton_ai.ml.selection.folds import Fold, plan
from lepton_ai.ml.selection.ground import Given
from lepton_ai.ml.selection.searching import out_of_fold, search
from lepton_ai.ml.selection.sides import Source
from lepton_ai.ml.task import CLASSIFICATION, REGRESSION
from lepton_ai.storage import Workspace

pytest.importorskip("optuna")

WINE = load_wine(return_X_y=True)
QUICK = (
    Candidate(model="baseline"),
    Candidate(model="logistic regression"),
    Candidate(model="ridge"),
    Candidate(model="naive bayes"),
    Candidate(model="decision tree"),
    Candidate(model="k-nearest"),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "CANDIDATES", QUICK)


def given(workspace: Workspace, **options: Any) -> Given:
    matrix, codes = WINE
    examples = gather((matrix, codes), target=None, workspace=workspace)
    return Given(
        task=CLASSIFICATION,
        examples=examples,
        target=codes.astype(np.int64),
        classes=("0", "1", "2"),
        **options,
    )


def test_auto_beats_the_baseline_and_tells_how(workspace: Workspace) -> None:
    found = search(given(workspace), trials=6)
    board = found.leaderboard
    tried = {each.model for each in board.contenders}
    assert tried == {"baseline", "logistic regression", "naive bayes", "decision tree", "k-nearest"}
    losses = {each.model: each.loss for each in board.contenders if not each.parameters}
    assert board.selected_loss < losses["baseline"] / 10
    assert board.figures["accuracy"] > 0.95
    low, high = board.intervals["log_loss"]
    # The honest figure is no better than the one that was selected on.
    assert low <= board.figures["log_loss"] <= high
    assert board.figures["log_loss"] >= board.selected_loss * 0.9
    assert sum(each.weight for each in board.contenders) == pytest.approx(1)
    assert len(board.contenders) == 5 + 6
    assert board.repeats == 2
    assert [each.seconds for each in board.contenders] == [None] * 11
    assert found.rows.tolist() == list(range(178))
    assert (found.answers.argmax(axis=1) == WINE[1]).mean() > 0.95


def test_the_same_seed_finds_the_same(workspace: Workspace) -> None:
    one, again = (search(given(workspace), trials=4) for _ in range(2))
    assert one.parameters == again.parameters
    assert one.leaderboard == again.leaderboard
    assert (one.answers == again.answers).all()
    other = search(given(workspace, seed=1), trials=4)
    assert other.leaderboard != one.leaderboard


def test_processes_find_what_one_process_finds(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = search(given(workspace), trials=1)
    monkeypatch.setattr(ground, "_WORTH_PROCESSES", 0)
    together = search(given(workspace, workers=2), trials=1)
    assert together.leaderboard == alone.leaderboard


def test_a_named_model_is_tuned_alone(workspace: Workspace) -> None:
    found = search(
        given(workspace), entry=zoo.find("knn"), parameters={"weights": "uniform"}, trials=8
    )
    assert found.entry.name == "k-nearest"
    assert found.parameters["weights"] == "uniform"
    tried = [each for each in found.leaderboard.contenders if each.model == "k-nearest"]
    assert {each.model for each in found.leaderboard.contenders} == {"k-nearest", "baseline"}
    best = min(each.loss for each in tried if each.state == "complete" and each.loss is not None)
    assert found.leaderboard.selected_loss == pytest.approx(best)
    assert [each.weight for each in found.leaderboard.contenders].count(1.0) == 1


def test_too_little_time_gives_the_baseline_with_a_note(workspace: Workspace) -> None:
    found = search(given(workspace), budget=1e-6)
    assert found.entry.name == "baseline"
    assert found.leaderboard.notes == ("no model but the baseline could be tried in time",)
    late = [each for each in found.leaderboard.contenders if each.model != "baseline"]
    assert {each.state for each in late} == {"late"}
    board = found.leaderboard.tables()[0]
    assert [row[0] for row in board.rows] == ["baseline"]
    assert board.title == "Leaderboard (no time for 4 more)"


def test_a_budget_ends_the_search(workspace: Workspace) -> None:
    found = search(given(workspace), budget=1.5)
    assert found.leaderboard.budget == 1.5
    assert all(each.seconds is not None for each in found.leaderboard.contenders)


def test_a_model_that_fails_is_told_of_and_the_others_go_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Candidate(model="k-nearest", settings=({"n_neighbors": 1000},))
    monkeypatch.setattr(candidates, "CANDIDATES", (*QUICK[:2], wrong))
    found = search(given(workspace), trials=0)
    failed = found.leaderboard.contenders[-1]
    assert (failed.model, failed.state) == ("k-nearest", "failed")
    assert "n_neighbors" in failed.note
    assert found.entry.name == "logistic regression"


def test_a_model_without_its_library_is_a_note(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "CANDIDATES", (*QUICK[:2], Candidate(model="lightgbm")))
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    board = search(given(workspace), trials=0).leaderboard
    assert {each.model for each in board.contenders} == {"baseline", "logistic regression"}
    assert board.notes == ("not tried: lightgbm; pip install 'lepton-ai[boost]'",)


def test_a_search_shows_how_far_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def listening(items: Any, description: str, total: Any = None, *, status: Any) -> Any:
        for item in items:
            yield item
            shown.append(f"{description}: {status()}")

    monkeypatch.setattr(searching, "track", listening)
    search(given(workspace), trials=2)
    assert len([line for line in shown if line.startswith("comparing models: best: ")]) == 5
    assert len([line for line in shown if line.startswith("drawing settings: best: ")]) == 2
    assert shown[0].startswith("comparing models: best: baseline, log loss 1.0")
    assert shown[-1].startswith("asking the best again: ")


def test_values_are_learned_too(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(150, 4))
    target = matrix @ [1.0, 2.0, 0.0, -1.0] + rng.normal(0, 0.1, 150)
    examples = gather((matrix, target), target=None, workspace=workspace, task=REGRESSION)
    found = search(Given(task=REGRESSION, examples=examples, target=target, classes=()), trials=2)
    assert found.leaderboard.measure == "mean squared error"
    assert found.leaderboard.figures["rmse"] == pytest.approx(0.1, abs=0.02)
    assert found.answers.shape == (150, 1)


def grouped(workspace: Workspace) -> tuple[Examples, np.ndarray]:
    """Groups that are told apart by a column, and whose label is a toss of a coin."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 8)
    label = rng.integers(2, size=40)[group]
    frame = pl.DataFrame(
        {
            "patient": [f"p{n}" for n in group],
            "height": rng.normal(size=40)[group] + rng.normal(0, 1e-3, 320),
            "label": label,
        }
    )
    table = read_table(frame, name="grouped", workspace=workspace)
    return gather(table, target="label", groups="patient"), label


def test_with_groups_what_only_tells_the_group_is_worth_nothing(workspace: Workspace) -> None:
    examples, label = grouped(workspace)
    known = {"task": CLASSIFICATION, "target": label, "classes": ("0", "1")}
    entry = zoo.find("decision tree")
    rows, answers = out_of_fold(Given(examples=examples, **known), entry, {})
    apart = (answers.argmax(axis=1) == label[rows]).mean()
    torn = replace(examples, groups=None)
    rows, answers = out_of_fold(Given(examples=torn, **known), entry, {})
    mixed = (answers.argmax(axis=1) == label[rows]).mean()
    assert mixed > 0.95
    assert apart < 0.7


def test_a_fold_learns_its_encoding_and_recipe_from_its_training_side_alone(
    workspace: Workspace,
) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"x": rng.normal(size=40), "town": ["a", "b"] * 20, "label": ["u", "v"] * 20}
    ).with_columns(
        x=pl.when(pl.int_range(40) == 39).then(1e6).otherwise("x"),
        town=pl.when(pl.int_range(40) == 39).then(pl.lit("far")).otherwise("town"),
    )
    table = read_table(frame, name="towns", workspace=workspace)
    examples = gather(table, target="label")
    codes = np.arange(40) % 2
    for recipe in (None, Recipe([Outliers(columns=("x",))])):
        source = Source(
            examples,
            codes,
            classes=2,
            balanced=False,
            recipe=recipe,
            kinds=None,
            components=None,
            scaled=True,
        )
        sides = source.sides(Fold(np.arange(39), np.array([39])))
        assert sides.train.mean(axis=0)[0] == pytest.approx(0, abs=1e-6)
        assert np.abs(sides.train).max() < 5
        # A town that training never saw is no town; the value is as far off as it is.
        assert sides.train.shape[1] == 3
        assert sides.test[0, 1:].tolist() == [0, 0]
        assert (sides.test[0, 0] > 1e5) == (recipe is None)


def test_a_category_coded_by_the_target_tells_nothing_of_a_coin(workspace: Workspace) -> None:
    """Coded once for all rows, it would tell most labels."""
    rng = np.random.default_rng(1)
    label = rng.integers(2, size=240)
    frame = pl.DataFrame({"town": [f"t{n}" for n in np.arange(240) // 3], "label": label})
    examples = gather(read_table(frame, name="coins", workspace=workspace), target="label")
    rows, answers = out_of_fold(
        Given(
            task=CLASSIFICATION,
            examples=examples,
            target=label,
            classes=("0", "1"),
            recipe=Recipe([TargetEncode(columns=("town",), target="label")]),
        ),
        zoo.find("naive bayes"),
        {},
    )
    assert (answers.argmax(axis=1) == label[rows]).mean() < 0.6


def test_weights_are_made_even_inside_a_fold(workspace: Workspace) -> None:
    matrix, codes = WINE
    examples = gather((matrix, codes), target=None, workspace=workspace)
    source = Source(
        examples,
        codes,
        classes=3,
        balanced=True,
        recipe=None,
        kinds=None,
        components=None,
        scaled=True,
    )
    fold = plan(178, codes=codes, groups=None, times=None, seed=0).repeats[0][0]
    sides = source.sides(fold)
    assert sides.weights is not None
    total = np.bincount(sides.target, sides.weights)
    assert total == pytest.approx(np.full(3, len(fold.train) / 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget is in seconds"),
        ({"budget": True}, "budget is in seconds"),
        ({"trials": -1}, "whole number of settings"),
        ({"trials": 2.5}, "whole number of settings"),
        ({"entry": zoo.find("naive bayes"), "trials": 3}, "has nothing to tune"),
    ],
)
def test_wrong_numbers_say_what_is_wrong(
    options: dict[str, Any], message: str, workspace: Workspace
) -> None:
    with pytest.raises(InvalidInput, match=message):
        search(given(workspace), **options)


def test_every_space_of_the_zoo_suits_its_estimator() -> None:
    from lepton_ai.ml.selection.sampling import sampler
    from lepton_ai.ml.task import TASKS

    for task in (CLASSIFICATION, REGRESSION):
        spaced = [entry for entry in zoo.entries(task.name).values() if entry.space]
        spaced = [entry for entry in spaced if entry.extra != "deep"]
        drawn = sampler(spaced, 0)
        for _ in range(60):
            trial = drawn.draw({})
            assert trial.parameters.keys() == trial.entry.space.keys()
            zoo.create(trial.entry, 0, trial.parameters, TASKS[task.name])
            trial.stop("failed", "")
            drawn.tell(trial)


@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION])
def test_every_setting_that_is_tried_first_suits_its_model(task: Any) -> None:
    # The real table, which the other tests of this file replace by a quick one.
    import importlib

    fresh = importlib.util.find_spec("lepton_ai.ml.selection.candidates")
    assert fresh is not None
    module = importlib.util.module_from_spec(fresh)
    assert fresh.loader is not None
    fresh.loader.exec_module(module)
    pairs = module.plausible(task, 1000, 10, None, None)
    assert len(pairs) > 10
    for entry, setting in pairs:
        zoo.create(entry, 0, setting, task)
