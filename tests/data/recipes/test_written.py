"""Recipes as YAML: written, edited by a person, and read back."""

from pathlib import Path

import pytest

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.recipes import (
    AsOf,
    Deduplicate,
    Impute,
    Invalid,
    Recipe,
    propose_recipe,
    read_recipe,
    write_recipe,
)
from tests.data.recipes.every_step import FRAME, STEPS


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{type(step).__name__}")
def test_every_step_is_read_as_it_was_written(step: object) -> None:
    recipe = Recipe([step])
    assert read_recipe(write_recipe(recipe)) == recipe
    fitted = recipe.fit(FRAME)
    assert read_recipe(write_recipe(fitted)) == fitted
    assert read_recipe(write_recipe(fitted), fitted=False).fit(FRAME).steps == fitted.steps


def test_a_proposal_is_edited_as_text(tmp_path: Path) -> None:
    proposed = propose_recipe(FRAME, target="y")
    file = tmp_path / "recipe.yaml"
    text = write_recipe(proposed)
    assert "because: x, k have gaps" in text
    file.write_text(text.replace("columns: [x, k]", "columns: [k]\n  method: mean"))
    edited = read_recipe(file)
    assert edited == proposed.replace(1, Impute(columns=("k",), method="mean", flag=True))
    assert edited.fit(FRAME).steps[1].values == {"k": pytest.approx(28 / 11)}


def test_what_a_person_writes() -> None:
    recipe = read_recipe(
        """
        - step: deduplicate          # a list of steps will do
        - {step: as_of, table: labs, on: time, within: 2h}
        - step: invalid
          column: country
          values: [no, yes, 2024-01-01]
        """
    )
    # The words on, no and yes are words here, and a date is text.
    assert recipe == Recipe(
        [
            Deduplicate(),
            AsOf(table="labs", on="time", within="2h"),
            Invalid(column="country", values=("no", "yes", "2024-01-01")),
        ]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps:\n- {step: dedupe}", "'dedupe' is no step; there are aggregate"),
        ("steps:\n- {step: impute, colums: [a]}", "step 1, impute: colums unknown; it has"),
        ("steps:\n- {step: impute, method: guess}", "step 1, impute: Invalid enum value"),
        ("steps:\n- {step: impute, because: [a]}", "a sentence is wanted"),
        ("steps:\n- deduplicate", "write such as {step: deduplicate}"),
        ("steps: 3\n", "a recipe has steps"),
        ("- [\n", "is no YAML"),
        ("steps: []\nmore: 1", "more unknown"),
        ("fitted: true\nsteps: []\ncounts: [a]", "counts are numbers"),
        ("a: &a [1]\nsteps: *a", "without anchors"),
        ("!!python/object/apply:os.system\n- 'true'", "is no YAML"),
        ("\x00\n", "is no YAML"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_recipe(text)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        read_recipe(tmp_path / "nothing.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_recipe(tmp_path / "binary")
