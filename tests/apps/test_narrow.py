"""Tables on a narrow terminal: no row wraps; columns give way, names never."""

from types import SimpleNamespace

import pytest

from lepton_ai.apps.cli import output
from lepton_ai.apps.cli.output import print_rows

LICENCE = "569 cell samples, malignant or benign. Licence: CC BY 4.0. " * 4
ROWS = [
    {
        "model": f"a-model-of-lung-nodules-{number}",
        "version": number,
        "type": "logistic regression",
        "trained on": "lung-nodules:1",
        "created": "2026-11-29 07:58:33",
        "state": "current",
        "description": LICENCE,
    }
    for number in (1, 2)
]


def shown(rows: list[dict[str, object]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_rows(rows, as_json=False, empty="")
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(output, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))


@pytest.mark.usefixtures("terminal")
def test_the_least_important_give_way_and_no_row_wraps(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows, note = shown(ROWS, capsys)
    assert len(rows) == 2
    assert all(len(line) <= 80 for line in (head, *rows))
    assert "a-model-of-lung-nodules-1" in rows[0]
    assert "lung-nodules:1" in rows[0]
    assert "description" not in head
    assert note.startswith("Left out for lack of room: description, created;")


@pytest.mark.usefixtures("terminal")
def test_prose_is_cut_where_there_is_room(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"dataset": "cells", "count": 569, "description": LICENCE}]
    _, row = shown(rows, capsys)
    assert len(row) <= 80
    assert row.startswith("cells")
    assert row.endswith("…")


@pytest.mark.usefixtures("terminal")
def test_a_name_wider_than_the_terminal_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * 100
    assert name in "\n".join(shown([{"dataset": name, "count": 1}], capsys))


def test_a_pipe_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    _, *rows = shown(ROWS, capsys)
    assert len(rows) == 2
    assert all(LICENCE.strip() in row for row in rows)


def test_truth_is_yes_or_no(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = shown([{"recipe": "a", "fitted": True}, {"recipe": "b", "fitted": False}], capsys)
    assert [row.split() for row in (head, *rows)] == [
        ["recipe", "fitted"],
        ["a", "yes"],
        ["b", "no"],
    ]
