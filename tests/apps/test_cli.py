"""The command line, run as a user runs it, on a real workspace and a real server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sklearn.datasets import load_breast_cancer

from lepton_ai.apps.cli.main import COMMANDS, lepton, main
from lepton_ai.apps.cli.output import plain, print_rows
from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.core.settings import Settings
from lepton_ai.serving import process
from lepton_ai.storage import Workspace


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace with a trained model of images and one of a table, and a server."""
    home = tmp_path_factory.mktemp("cli")
    before = dict(os.environ)
    os.environ |= {"LEPTON_HOME": str(home / "home"), "LEPTON_PORT": "0", "COLUMNS": "100"}
    write_phantoms(home / "scans", count=60)
    (home / "scans" / "clear" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    records = load_breast_cancer(as_frame=True).frame
    records["diagnosis"] = records.pop("target").map({0: "malignant", 1: "benign"})
    records.to_csv(home / "patients.csv", index=False)
    yield home
    process.down(Workspace.open())
    Workspace.open().close()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def run(home, monkeypatch, capsys):
    """Run one command in the home's folder; give its exit code, output and errors."""
    monkeypatch.chdir(home)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture
def json_of(run):
    def json_of(*arguments: object):
        code, out, err = run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return json_of


@pytest.fixture(scope="module")
def trained(home):
    """What later tests rely on, made by the commands themselves."""
    runner = CliRunner()
    for words in (
        ["data", "import", str(home / "scans"), "--json"],
        ["train", "scans", "--model", "SVM", "--json"],
        ["data", "import", str(home / "patients.csv"), "--json"],
        ["train", "patients", "--target", "diagnosis", "--set", "n_estimators=50", "--json"],
        ["deploy", "scans", "--json"],
        ["deploy", "patients@champion", "--name", "risk", "--json"],
    ):
        outcome = runner.invoke(lepton, words, catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
    return home


def test_every_command_has_help(run):
    code, out, _ = run("--help")
    assert code == 0
    for name, row in COMMANDS.items():
        assert row.summary in out
        code, own, _ = run(name, "--help")
        assert code == 0
        assert own.startswith(f"Usage: lepton {name}")


def test_a_mistyped_command_gets_a_suggestion_and_code_2(run):
    code, _, err = run("trian")
    assert code == 2
    assert "train" in err.split("Did you mean")[1]


def test_init_settings_and_token(run, json_of):
    assert run("init")[0] == 0
    listed = {row["setting"] for row in json_of("settings")}
    assert listed == set(Settings.__struct_fields__)
    first, second = run("token")[1].strip(), run("token")[1].strip()
    assert first == second
    assert len(first) > 40


def test_secrets_are_not_listed(run, monkeypatch):
    monkeypatch.setenv("LEPTON_DATABASE_URL", "postgresql://user:sesame@localhost/x")
    assert "sesame" not in run("settings")[1]


def test_a_wrong_setting_is_a_clear_error(run, monkeypatch):
    monkeypatch.setenv("LEPTON_PORT", "ninety")
    code, _, err = run("data", "ls")
    assert code == 1
    assert "port" in err
    assert "Traceback" not in err


def test_import_counts_what_is_set_aside(trained, json_of, run):
    shown = json_of("data", "show", "scans")
    assert (shown["count"], len(shown["rejected"])) == (60, 1)
    assert shown["classes"] == {"clear": 30, "nodule": 30}
    assert "broken.dcm" in run("data", "show", "scans")[1]
    again = json_of("data", "import", "scans")
    assert again["dataset"] == "scans:1", "the same files are the same version"
    assert {row["dataset"] for row in json_of("data", "ls")} == {"scans", "patients"}


def test_tables_show_their_columns(trained, json_of):
    shown = json_of("data", "show", "patients")
    assert shown["count"] == 569
    (radius,) = [one for one in shown["columns"] if one["name"] == "mean radius"]
    assert radius["type"] == "Float64"


def test_training_again_changes_nothing(trained, json_of):
    again = json_of("train", "scans", "--model", "svc")
    assert again["model"] == "scans:1"
    assert again["evaluation"]["accuracy"] > 0.8


def test_evaluate_measures_on_what_was_held_out(trained, json_of, home):
    held_out = json_of("evaluate", "patients", "--plots", home / "plots")
    assert held_out["rows"] == 114
    assert held_out["accuracy"] > 0.9
    for plot in ("roc.png", "confusion.png"):
        assert (home / "plots" / plot).read_bytes().startswith(b"\x89PNG")


def test_evaluate_by_column_and_as_a_page(trained, run, json_of, home):
    code, shown, _ = run("evaluate", "patients", "--by", "mean radius", "--report", home / "e.html")
    assert code == 0
    assert "By mean radius" in shown
    assert "Evaluation of patients:1" in (home / "e.html").read_text()
    by = json_of("evaluate", "patients", "--by", "mean radius")
    assert [part["column"] for part in by["slices"]] == ["mean radius"]


def test_compare_tells_models_apart(trained, run, json_of, home):
    run("train", "patients", "--target", "diagnosis", "--model", "nb", "--name", "bayes")
    found = json_of("compare", "patients", "bayes")
    assert (found["first"], found["second"], found["rows"]) == ("patients:1", "bayes:1", 114)
    assert {test["name"] for test in found["tests"]} == {"McNemar", "DeLong"}
    code, shown, _ = run("compare", "patients", "bayes", "--report", home / "c.html")
    assert code == 0
    assert "patients:1 against bayes:1" in shown
    assert "against bayes:1" in (home / "c.html").read_text()


def test_models_are_listed_shown_and_exported(trained, json_of, run, home):
    rows = json_of("models", "ls")
    assert {(row["model"], row["version"], *row["aliases"]) for row in rows} >= {
        ("scans", 1, "champion"),
        ("patients", 1, "champion"),
    }
    assert all(key.isidentifier() for row in (*rows, *json_of("models", "zoo")) for key in row)
    assert json_of("models", "show", "scans")["facts"]["outcome"]["names"] == ["clear", "nodule"]
    code, card, _ = run("models", "card", "scans")
    assert code == 0
    assert card.startswith("#")
    assert run("models", "export", "scans", home / "bundle")[0] == 0
    assert (home / "bundle" / "signature.json").is_file()
    assert run("models", "alias", "scans", "approved")[0] == 0
    assert json_of("models", "show", "scans@approved")["model"] == "scans:1"
    assert "svm" in {row["model"] for row in json_of("models", "zoo")}


def test_predictions_of_images_tables_and_records(trained, json_of, home):
    scans = sorted((home / "scans" / "nodule").iterdir())[:2]
    answers = json_of("predict", "scans", *scans)
    assert {answer["label"] for answer in answers} <= {"clear", "nodule"}
    assert len(answers) == 2
    assert len(json_of("predict", "risk", "patients.csv")) == 569
    record = load_breast_cancer(as_frame=True).data.iloc[0].to_dict()
    answer = json_of("predict", "risk", json.dumps(record))[0]
    assert answer["label"] == "malignant"
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_explanations_at_the_command_line(trained, json_of, run, home):
    record = load_breast_cancer(as_frame=True).data.iloc[0].to_dict()
    found = json_of("explain", "patients", json.dumps(record))
    assert found["about"] == "malignant"
    total = found["base"] + sum(item["contribution"] for item in found["contributions"])
    assert total == pytest.approx(found["answer"], abs=1e-3)
    whole = json_of("explain", "patients")
    assert len(whole["columns"]) == 30
    curve = json_of("explain", "patients", "--dependence", "worst radius")
    assert len(curve["values"]) == len(curve["answers"]) > 5
    changed = json_of("explain", "patients", json.dumps(record), "--what-if", "worst radius=9.5")
    assert changed["changes"] == {"worst radius": [record["worst radius"], 9.5]}
    steady = json_of("explain", "patients", json.dumps(record), "--stability")
    assert -1 <= steady["neighbours"] <= 1
    near = json_of(
        "explain", "patients", json.dumps(record), "--counterfactual", "--most-changes", 1
    )
    assert isinstance(near, list)
    scan = sorted((home / "scans" / "clear").glob("phantom*"))[0]
    code, out, err = run("explain", "scans", scan, "--plots", "why", "--report", "why.html",
                         "--samples", 2)  # fmt: skip
    assert code == 0, err
    assert "Contributions" in out
    assert {path.name for path in (home / "why").iterdir()} == {"contributions.png", "heat.png"}
    assert (home / "why.html").read_text().count("<img") == 2


def test_an_answer_traces_back_to_its_files(trained, json_of, run, home):
    scan = sorted((home / "scans" / "clear").glob("phantom*"))[0]
    answer = json_of("predict", "scans", scan)[0]
    trail = json_of("trace", answer["id"])
    kinds = {node["kind"] for node in trail["nodes"]}
    assert kinds == {"deployment", "model", "run", "split", "dataset", "source"}
    sources = [node for node in trail["nodes"] if node["kind"] == "source"]
    assert len(sources) == 60
    digests = {node["facts"]["path"]: node["facts"]["sha256"] for node in sources}
    told = subprocess.run(["sha256sum", scan], capture_output=True, text=True, check=True)
    assert digests[str(scan)] == told.stdout.split()[0]
    code, out, _ = run("trace", answer["id"])
    assert code == 0
    assert answer["id"] in out
    assert "57 more source files" in out


def test_a_file_traces_down_to_what_it_went_into(trained, json_of, home):
    scan = sorted((home / "scans" / "clear").glob("phantom*"))[0]
    kinds = {node["kind"] for node in json_of("trace", scan)["nodes"]}
    assert kinds >= {"source", "dataset", "split", "run", "model", "deployment"}
    assert json_of("trace", "scans", "--kind", "dataset")["node"]["kind"] == "dataset"


def test_the_servers_life(trained, run, json_of):
    found = json_of("status")
    assert found["running"]
    assert {point["name"]: point["state"] for point in found["endpoints"]} == {
        "scans": "live",
        "risk": "live",
    }
    assert run("status", "--url")[1] == found["url"] + "\n"
    assert run("logs", "-n", 5)[0] == 0
    assert json_of("down") == {"stopped": True}
    assert "lepton up" in run("status")[1]
    code, out, err = run("status", "--url")
    assert (code, out) == (1, "")
    assert "lepton up" in err
    code, _, err = run("predict", "risk", "patients.csv")
    assert code == 1
    assert "lepton up" in err
    assert {point["state"] for point in json_of("up")["endpoints"]} == {"live"}
    assert run("deploy", "--stop", "risk")[0] == 0
    assert run("predict", "risk", "patients.csv")[0] == 1
    assert json_of("deploy", "patients", "--name", "risk")["model"] == "patients:1"


def test_doctor_finds_a_healthy_workspace(trained, json_of):
    assert {finding["state"] for finding in json_of("doctor")} == {"ok"}


def test_doctor_finds_an_open_door(trained, run, home):
    keys = home / "home" / "keys.json"
    (home / "home").chmod(0o755)
    try:
        code, out, _ = run("doctor")
    finally:
        (home / "home").chmod(0o700)
    assert code == 1
    assert "chmod go-rwx" in out
    assert keys.stat().st_mode & 0o077 == 0


def test_verify_finds_a_flipped_bit(trained, run, home):
    assert run("storage", "verify")[0] == 0
    pack = max((home / "home" / "objects").rglob("pack_*"), key=lambda path: path.stat().st_size)
    kept = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(kept[:100] + bytes([kept[100] ^ 1]) + kept[101:])
    try:
        code, out, _ = run("storage", "verify")
    finally:
        pack.write_bytes(kept)
    assert code == 1
    assert "altered" in out
    assert run("storage", "verify")[0] == 0
    assert run("storage", "collect")[0] == 0


def test_keys_rotate_under_a_running_server(trained, json_of, home):
    assert json_of("keys", "rotate")["rewrapped"] > 60
    scan = sorted((home / "scans" / "nodule").iterdir())[0]
    assert json_of("predict", "scans", scan)[0]["version"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "nothing-like-this"], "nothing-like-this"),
        (["train", "patients"], "--target"),
        (["train", "patients", "--target", "colour"], "colour"),
        (["train", "scans", "--model", "random florist"], "random forest"),
        (["train", "scans", "--set", "C"], "NAME=VALUE"),
        (["train", "scans", "--model", "svm", "--set", "Cc=3"], "C"),
        (["data", "import", "no-such-folder"], "no-such-folder"),
        (["models", "show", "nobody"], "nobody"),
        (["deploy", "nobody"], "nobody"),
        (["predict", "scans", "no-such-file.dcm"], "no-such-file.dcm"),
        (["predict", "risk", "{not json"], "not valid JSON"),
        (["predict", "risk", '{"age": 3}'], "mean radius"),
        (["predict", "risk", "scans/clear/phantom-0000.dcm"], "takes a table file"),
        (["predict", "scans", "patients.csv"], "takes image files"),
        (["explain", "scans", "patients.csv"], "takes image files"),
        (["explain", "patients", "--dependence", "radius"], "no column 'radius'"),
        (["explain", "patients", "patients.csv", "--stability"], "about one row"),
        (["explain", "patients", "patients.csv", "--what-if", "age"], "about one row"),
        (["trace", "prd_00000000000000000000000000"], "prd_"),
        (["trace", "what"], "what"),
    ],
)
def test_mistakes_get_a_message_and_no_traceback(trained, run, words, says):
    code, out, err = run(*words)
    assert code in (1, 2)
    assert says in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run, shell, tmp_path):
    code, script, _ = run("completion", shell)
    assert code == 0
    assert "_LEPTON_COMPLETE" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_completion_completes(home):
    environ = {
        **os.environ,
        "_LEPTON_COMPLETE": "bash_complete",
        "COMP_WORDS": "lepton tr",
        "COMP_CWORD": "1",
    }
    program = Path(sys.executable).with_name("lepton")
    outcome = subprocess.run([program], env=environ, capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == ["plain,train", "plain,trace"]


def test_a_closed_pipe_is_no_error(trained):
    program = Path(sys.executable).with_name("lepton")
    outcome = subprocess.run(
        ["bash", "-c", f"{program} settings | head -1"], capture_output=True, text=True
    )
    assert outcome.stdout.startswith("setting")
    assert outcome.stderr == ""


def test_names_of_files_are_no_markup_and_steer_no_terminal(capsys: pytest.CaptureFixture[str]):
    assert plain("x\x1b]0;y\x07\x9b[/z]\ud800") == r"x\x1b]0;y\x07\x9b\[/z]\ud800"
    print_rows([{"name": "[/z]\x1b[2J"}], as_json=False, empty="")
    assert capsys.readouterr().out.split("\n")[1] == r"[/z]\x1b[2J"
