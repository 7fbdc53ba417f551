"""Errors, ids, optional libraries, settings, progress."""

import io
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from lepton_ai.core import errors, optional, settings
from lepton_ai.core.ids import new_id, time_of
from lepton_ai.core.progress import track, watch
from lepton_ai.core.settings import Settings


def test_every_error_is_a_lepton_error_with_a_builtin_where_one_fits():
    tree = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(error, errors.LeptonError) for error in tree)
    assert issubclass(errors.NotFound, LookupError)
    assert issubclass(errors.InvalidInput, ValueError)
    assert issubclass(errors.MissingExtra, ImportError)


def test_ids_sort_by_time_and_do_not_repeat():
    ids = []
    for _ in range(3):
        ids.append(new_id("run"))
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert all(len(i) == len("run_") + 26 for i in ids)
    assert len({new_id("x") for _ in range(10_000)}) == 10_000


def test_an_id_tells_its_time_and_sorts_after_another():
    now = datetime.now(UTC)
    assert abs(time_of(new_id("run")) - now) < timedelta(seconds=10)
    ids = ["run_" + "3" * 26]
    for _ in range(100):
        ids.append(new_id("run", after=ids[-1]))
    assert ids == sorted(set(ids))
    assert time_of(ids[-1]) - time_of(ids[0]) < timedelta(seconds=10)


def test_a_missing_library_names_the_extra():
    with pytest.raises(errors.MissingExtra, match=r"pip install 'lepton-ai\[deep\]'"):
        optional.load("no_such_library.part", extra="deep")


def test_an_attribute_is_loaded():
    assert optional.load("json:dumps", extra="core")({"a": 1}) == '{"a": 1}'


def test_a_missing_module_of_our_own_is_not_hidden():
    with pytest.raises(ModuleNotFoundError):
        optional.load("lepton_ai.no_such_room", extra="deep")


def test_settings_defaults(tmp_path):
    loaded = Settings.load(tmp_path, environ={})
    assert loaded.home == tmp_path
    assert loaded.host == "127.0.0.1"


def test_variables_win_over_the_file(tmp_path):
    (tmp_path / "lepton.toml").write_text('port = 9000\nlog_level = "debug"\n')
    loaded = Settings.load(tmp_path, environ={"LEPTON_PORT": "9001"})
    assert (loaded.port, loaded.log_level) == (9001, "debug")


def test_home_comes_from_its_variable(tmp_path):
    assert Settings.load(environ={"LEPTON_HOME": str(tmp_path)}).home == tmp_path


@pytest.mark.parametrize(
    ("file", "environ", "message"),
    [
        ("prot = 1", {}, "prot"),
        ("port = 'many'", {}, "port"),
        ("", {"LEPTON_PORT": "70000"}, "port"),
        ("", {"LEPTON_LOG_LEVEL": "loud"}, "log_level"),
        ("port = ", {}, "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path, file, environ, message):
    (tmp_path / "lepton.toml").write_text(file)
    with pytest.raises(errors.InvalidInput, match=message):
        Settings.load(tmp_path, environ=environ)


def test_a_wrong_setting_is_called_what_was_written(tmp_path):
    with pytest.raises(errors.InvalidInput, match=r"wrong: port \(LEPTON_PORT\): Expected"):
        Settings.load(tmp_path, environ={"LEPTON_PORT": "70000"})


def test_every_setting_is_described():
    described = settings.describe()
    assert set(described) == set(Settings.__struct_fields__)
    assert all(len(text) > 20 for text in described.values())


def terminal_of(monkeypatch):
    """Return what stands for a terminal on standard error; call it inside the test."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_track_yields_everything_without_a_terminal(capsys):
    assert list(track(iter(range(5)), "counting")) == list(range(5))
    assert capsys.readouterr().err == ""


def test_track_draws_on_a_terminal(monkeypatch):
    terminal = terminal_of(monkeypatch)
    assert list(track(range(5), "counting sheep")) == list(range(5))
    assert "counting sheep" in terminal.getvalue()
    assert "5/5" in terminal.getvalue()


def test_track_tells_where_the_work_stands(monkeypatch):
    terminal = terminal_of(monkeypatch)
    monkeypatch.setenv("COLUMNS", "120")
    done = []
    for item in track(range(3), "learning", status=lambda: f"loss {len(done)}"):
        done.append(item)
    assert "loss 3" in terminal.getvalue()
    drawn = terminal.getvalue()
    assert list(track(range(3), "quiet", shown=False)) == [0, 1, 2]
    assert terminal.getvalue() == drawn


def test_a_large_file_is_watched_on_a_terminal_whatever_its_name(monkeypatch):
    terminal = terminal_of(monkeypatch)
    content = bytes(range(256)) * 2**17
    with watch(io.BytesIO(content), "reading [/red].csv") as file:
        assert file.read(10) == content[:10]
        file.seek(5)
        assert file.read() == content[5:]
    assert "reading [/red].csv" in terminal.getvalue()


def test_a_small_file_and_a_pipe_are_not_watched(monkeypatch):
    terminal = terminal_of(monkeypatch)

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    for file in (io.BytesIO(b"little"), Pipe(bytes(2**25))):
        with watch(file, "reading") as given:
            assert given is file
    assert terminal.getvalue() == ""
