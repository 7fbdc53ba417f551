import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.classification import (
    ClassificationEvaluation,
    assess_classification,
)
from lepton_ai.ml.evaluation.stored import stored

TRUTH = ["normal", "normal", "normal", "pneumonia", "pneumonia"]
SICK = np.array([0.1, 0.2, 0.7, 0.8, 0.4])


def example(**options: object) -> ClassificationEvaluation:
    named = {"model": "chest:3", "data": "the test side", "seen": 0}
    named = {key: options.pop(key, value) for key, value in named.items()}
    probabilities, options = np.stack([1 - SICK, SICK], axis=1), {"resamples": 50} | options
    found = assess_classification(TRUTH, probabilities, ("normal", "pneumonia"), **options)
    return replace(found, **named)


def test_it_is_a_number() -> None:
    evaluation = example()
    assert f"{evaluation:.2f}" == "0.60"
    assert float(evaluation) == 0.6
    assert evaluation == 0.6
    assert evaluation == example(seed=1)
    assert 0.5 < evaluation < 0.7
    assert 0.6 <= evaluation <= 0.6
    assert evaluation > np.float64(0.5)
    assert evaluation != "0.6"
    assert sorted([0.7, evaluation, 0.1]) == [0.1, evaluation, 0.7]
    assert hash(evaluation) == hash(0.6)
    with pytest.raises(TypeError):
        evaluation < "1"  # noqa: B015


def test_the_figures_of_five_rows_by_hand() -> None:
    evaluation = example()
    # Predicted: n n p p n. Of the two called pneumonia one is; of the two that are, one is found.
    assert evaluation.confusion == [[2, 1], [1, 1]]
    assert (evaluation.precision, evaluation.recall, evaluation.f1) == (0.5, 0.5, 0.5)
    assert evaluation.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Pairs (sick, healthy) in the right order: 0.8 beats 3, 0.4 beats 2, of 6.
    assert evaluation.auc == pytest.approx(5 / 6)
    right = [0.9, 0.8, 0.3, 0.8, 0.4]
    assert evaluation.log_loss == pytest.approx(-np.log(right).mean())
    normal, sick = evaluation.per_class
    assert (normal.label, normal.support, normal.precision) == ("normal", 3, pytest.approx(2 / 3))
    assert (sick.label, sick.support, sick.auc) == ("pneumonia", 2, pytest.approx(5 / 6))
    assert sick.intervals["recall"] == evaluation.intervals["recall"]
    assert sum(item.rows for item in evaluation.reliability) == 5
    low, high = evaluation.intervals["accuracy"]
    assert low <= 0.6 <= high


@pytest.mark.parametrize(
    ("classes", "wanted", "positive"),
    [
        (("normal", "pneumonia"), None, "pneumonia"),
        (("bad", "good"), None, "bad"),
        (("0", "1"), None, "1"),
        (("False", "True"), None, "True"),
        (("covid", "healthy"), None, "covid"),
        (("a", "b"), None, "b"),
        (("a", "b"), "a", "a"),
    ],
)
def test_which_class_is_looked_for(
    classes: tuple[str, str], wanted: str | None, positive: str
) -> None:
    found = assess_classification(
        [classes[0], classes[1]], np.eye(2), classes, positive=wanted, resamples=2
    )
    assert found.positive == positive


def test_three_classes_are_averaged() -> None:
    evaluation = assess_classification(["a", "b", "c"], np.eye(3), ("a", "b", "c"), resamples=20)
    assert evaluation.positive is None
    assert evaluation.accuracy == evaluation.f1 == evaluation.auc == 1
    assert [curve.label for curve in evaluation.roc] == ["a", "b", "c"]
    with pytest.raises(InvalidInput, match="two classes"):
        assess_classification(["a"], np.eye(3)[:1], ("a", "b", "c"), positive="a")


def test_one_class_alone_has_no_auc_and_no_curve() -> None:
    evaluation = assess_classification(
        ["a", "a"], np.array([[0.9, 0.1], [0.3, 0.7]]), ("a", "b"), resamples=5
    )
    assert evaluation.auc is None
    assert evaluation.roc == []
    assert "AUC" in str(evaluation)
    evaluation._repr_html_()


def test_labels_by_a_threshold_or_another_rule() -> None:
    low = example(threshold=0.15)
    assert low.confusion == [[1, 2], [0, 2]]
    assert low.auc == example().auc
    assert "positive class pneumonia, threshold 0.150" in str(low)
    same = example(called=["normal", "pneumonia", "pneumonia", "pneumonia", "pneumonia"])
    assert same.figures == low.figures
    with pytest.raises(InvalidInput, match=r"does not know: \['covid'\]"):
        example(called=["covid"] * 5)
    with pytest.raises(InvalidInput, match="parts two classes"):
        assess_classification(["a", "b", "c"], np.eye(3), ("a", "b", "c"), threshold=0.5)


def test_groups_are_resampled_together() -> None:
    together = example(groups=["1", "1", "1", "2", "2"])
    assert together.groups == 2
    assert "5 rows of 2 groups" in str(together)


def test_unknown_labels_and_no_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"does not know: \['covid'\]"):
        assess_classification(["covid"], np.array([[0.5, 0.5]]), ("a", "b"))
    with pytest.raises(InvalidInput, match="no rows"):
        assess_classification([], np.zeros((0, 2)), ("a", "b"))


def test_it_survives_json() -> None:
    evaluation = example(seen=2)
    values = json.loads(json.dumps(evaluation.to_dict()))
    back = stored(values)
    assert back.to_dict() == evaluation.to_dict()


def test_it_shows_itself_as_text() -> None:
    shown = str(example())
    assert "chest:3 on the test side: 5 rows, positive class pneumonia" in shown
    assert "accuracy              0.600" in shown
    assert "as pneumonia" in shown
    assert f"{example()}" == shown
    assert "trained on" not in shown
    assert "2 of the rows were trained on" in str(example(seen=2))


def test_it_shows_itself_in_a_terminal() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(example(model="[bold]odd[/bold]"))
    shown = console.export_text()
    assert "[bold]odd[/bold] on the test side" in shown
    assert "0.600" in shown


def test_it_shows_itself_in_a_notebook() -> None:
    shown = example(model="<script>")._repr_html_()
    assert "&lt;script&gt;" in shown
    root = ElementTree.fromstring(shown.replace("alt=''>", "alt=''/>"))
    assert len(root.findall("img")) == 2
    assert root.find("img").get("src").startswith("data:image/png;base64,")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_plots_are_saved(tmp_path: Path, ending: str) -> None:
    evaluation = example()
    for plot in (evaluation.plot_roc, evaluation.plot_confusion):
        path = tmp_path / f"plot.{ending}"
        plot(path)
        assert path.stat().st_size > 1000


def test_plots_hold_the_figures() -> None:
    evaluation = example(model="costs $5")
    axes = evaluation.plot_confusion().axes[0]
    assert [text.get_text() for text in axes.texts] == ["2", "1", "1", "1"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["normal", "pneumonia"]
    axes = evaluation.plot_roc().axes[0]
    assert axes.lines[0].get_xdata()[-1] == axes.lines[0].get_ydata()[-1] == 1
    assert "AUC 0.833" in axes.get_legend().get_texts()[0].get_text()
