"""Explanations show themselves; nothing of the data steers a terminal or a page."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from lepton_ai.ml.explanation import dependence, importance
from lepton_ai.ml.explanation.explanation import Contribution, Explanation
from lepton_ai.ml.model import Model

from .conftest import RECORD

HOSTILE = "<script>alert(1)</script>[red]\x1b[31m"


def test_text_holds_what_adds_up() -> None:
    found = Explanation(
        model="risk:1", method="by hand", about="bad", space="probability", answer=0.9, base=0.5,
        contributions=(Contribution("age", 25.0, 0.5), Contribution("job", "none", -0.1, 0.01)),
        prediction={"label": "bad"},
    )  # fmt: skip
    lines = str(found).splitlines()
    assert lines[0] == "risk:1: bad, probability 0.900"
    assert lines[1] == "By by hand, from a base of 0.500."
    assert lines[-2].split() == ["age", "25", "+0.5", "0", "+" * 24]
    assert lines[-1].split() == ["job", "none", "-0.1", "0.01", "-" * 5]
    assert found["age"] == 0.5
    with pytest.raises(KeyError):
        found["height"]


@pytest.mark.parametrize("name", ["decision tree", "naive bayes", "svm"])
def test_every_form_of_an_explanation(
    name: str, classifier: Callable[..., Model], tmp_path: Path
) -> None:
    found = classifier(name).explain(RECORD)
    assert isinstance(found, Explanation)
    assert msgspec.convert(found.to_dict(), Explanation) == found
    console = Console(width=120, record=True, file=(tmp_path / "shown").open("w"))
    console.print(found)
    console.file.close()
    shown = console.export_text()
    page = found.report(tmp_path / "page.html").read_text()
    for text in (str(found), shown, page, found._repr_html_()):
        assert "job" in text
        assert found.method in text
    if found.path:
        assert "The path through the tree" in shown
    if found.evidence:
        assert "Prior times likelihoods" in page
    assert page.startswith("<!doctype html>")
    assert "<img src='data:image/png" in page


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    found = Explanation(
        model=HOSTILE, method="by hand", about=HOSTILE, space="probability", answer=1.0, base=0.0,
        contributions=tuple(Contribution(f"{HOSTILE}{n}", HOSTILE, 0.04) for n in range(25)),
        prediction={}, notes=(HOSTILE,),
    )  # fmt: skip
    console = Console(width=200, record=True, file=(tmp_path / "shown").open("w"))
    console.print(found)
    console.file.close()
    for text in (str(found), console.export_text()):
        assert "\x1b" not in text
        assert "[red]" in text
        assert "5 more" in text
    assert "<script>" not in found.report(tmp_path / "page.html").read_text()
    assert "<script>" not in found._repr_html_()


def test_importance_and_dependence_are_drawn(classifier: Callable[..., Model]) -> None:
    model = classifier("naive bayes")
    for found in (importance(model), dependence(model, "age"), dependence(model, "job")):
        assert "<img" in found._repr_html_()
        assert found.to_dict()["model"] == model.ref
