"""A workspace that this user may not write: one line says so, whatever the command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lepton_ai.storage import Workspace

_RUN = "from lepton_ai.apps.cli import main; main()"
_CAPS = "-dac_override,-dac_read_search,-fowner"


def run(home: Path, *words: str) -> tuple[int, str]:
    """Run a command without root's power over files; give its code, output and errors."""
    prefix = (
        ["setpriv", f"--bounding-set={_CAPS}", f"--inh-caps={_CAPS}"] if os.geteuid() == 0 else []
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _RUN, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LEPTON_HOME": str(home)},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def locked(workspace: Workspace) -> Path:
    """A workspace whose files may only be read."""
    workspace.objects.put(b"lepton doctor")
    # Left open: without SQLite's log it could not even be read.
    for path in [workspace.home, *workspace.home.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    return workspace.home


@pytest.mark.parametrize("words", [["data", "import"], ["up"], ["access", "grant", "ann", "x"]])
def test_what_would_write_says_who_may_not(words: list[str], locked: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("age\n1\n2\n")
    code, said = run(locked, *words, *([str(file)] if words == ["data", "import"] else []))
    assert code == 1
    assert said.startswith(f"Error: the workspace {locked} cannot be read and written by ")
    assert f"chmod -R u+rwX {locked}" in said
    assert len(said.splitlines()) == 1


def test_what_only_reads_goes_on(locked: Path) -> None:
    code, said = run(locked, "data", "ls")
    assert (code, "No dataset yet" in said) == (0, True)


def test_doctor_does_not_call_it_healthy(locked: Path) -> None:
    code, said = run(locked, "doctor")
    assert code == 1
    assert said.count(f"the workspace {locked} cannot be read and written by ") >= 3
    assert "stored, encrypted and read again" not in said


def test_a_home_that_may_not_be_opened(workspace: Workspace) -> None:
    (workspace.home / "lepton.toml").write_text("")
    workspace.close()
    workspace.home.chmod(0)
    code, said = run(workspace.home, "data", "ls")
    workspace.home.chmod(0o700)
    assert code == 1
    assert said.startswith(f"Error: the workspace {workspace.home} cannot be read and written by ")
    assert len(said.splitlines()) == 1
