"""Passwords in addresses: what is said of a database or a storage never holds them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import LeptonError
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("database_url", "postgresql://me:hidden@127.0.0.1:1/x?password=hidden"),
        ("database_url", "postgresql://me:hidden@nosuch.invalid/x"),
        ("database_url", "postgresql://me:hidden@[::1/x"),
        ("database_url", "hidden"),
        ("objects_url", "ftp://me:hidden@host/x"),
        ("objects_url", "s3://me:hidden@host/x"),
    ],
)
def test_a_message_is_one_line_without_them(name: str, url: str, tmp_path: Path) -> None:
    with pytest.raises(LeptonError) as caught:
        Workspace.open(settings=Settings(tmp_path / "home", **{name: url}))
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["settings"], ["settings", "--json"]])
def test_the_settings_do_not_show_them(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    places = ("DATABASE", "OBJECTS", "BACKUP")
    for place in places:
        monkeypatch.setenv(f"LEPTON_{place}_URL", "ftp://me:hidden@host/x")
    shown = CliRunner().invoke(lepton, words, catch_exceptions=False).output
    assert "hidden" not in shown
    assert shown.count("(set)") == len(places)
    if "--json" in words:
        values = {one["setting"]: one["value"] for one in json.loads(shown)}
        assert values["port"] == "8421"
