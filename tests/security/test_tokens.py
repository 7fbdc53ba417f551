import pytest

from lepton_ai.security import OWNER, authenticate, rotate_token, workspace_token
from lepton_ai.security.tokens import matches
from lepton_ai.storage import Workspace


def test_a_token_is_made_once_and_survives(workspace: Workspace) -> None:
    token = workspace_token(workspace)
    assert token.startswith("lepton_")
    assert len(bytes.fromhex(token.removeprefix("lepton_"))) == 32
    workspace.keys.rotate()
    workspace.close()
    again = Workspace.open(workspace.home)
    assert workspace_token(again) == token
    again.close()


def test_a_token_lies_nowhere_in_clear(workspace: Workspace) -> None:
    token = workspace_token(workspace).removeprefix("lepton_")
    for path in workspace.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert token.encode() not in data
            assert bytes.fromhex(token) not in data


def test_a_rotated_token_opens_nothing_any_more(workspace: Workspace) -> None:
    old = workspace_token(workspace)
    new = rotate_token(workspace)
    assert workspace_token(workspace) == new != old
    assert authenticate(old, new) is None
    assert authenticate(new, new) == OWNER


@pytest.mark.parametrize("given", [None, "", "lepton_", "lepton_00", "é"])
def test_a_wrong_token_is_nobody(workspace: Workspace, given: str | None) -> None:
    assert authenticate(given, workspace_token(workspace)) is None


def test_matching_compares_everything() -> None:
    assert matches("abc", "abc")
    assert not matches("abc", "abd")
    assert not matches("abc", "ab")
    assert not matches("é", "e")
