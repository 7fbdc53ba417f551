"""Kills the parts of the path at random moments, judges what is left, and goes the way again.

Run by `test_crash.py` in a process of its own, which imports everything once and then forks a
child for each phase. It has two workspaces with the same keys: in one the children are killed, in
the other each phase runs undisturbed first, so that equal addresses mean equal bytes.

Half of the kills come at a random moment of the phase. The other half come at a random step: a
call that writes, syncs or renames a file, or speaks to the database. Those take a hundredth of
the time and hold most of the danger.
"""

import contextlib
import ctypes
import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec
import numpy as np
import psutil
import urllib3
from msgspec import Struct

from lepton_ai.core.settings import Settings
from lepton_ai.data.images.decode import decode_upload
from lepton_ai.ml.predictor import Predictor
from lepton_ai.security.signing import public_key
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.client import Prediction
from lepton_ai.serving.deployment import deployment
from lepton_ai.serving.process import down, up
from lepton_ai.serving.receipts import digest_key, journal_of
from lepton_ai.serving.supervisor import Running, pid_file, replica_files
from lepton_ai.storage import Workspace, writer
from tests.crash.child import Child, ChildFailed
from tests.crash.journey import ENDPOINT, PHASES, Chapter, Promise, Say, perform
from tests.crash.judge import complaints, leftovers

# Small enough that an import fills several packs, as a large one does at the sizes in use.
_PACK_BYTES, _PENDING = 64 * 1024, 8

_MODELS = ("SVM", "naive bayes", "decision tree", "k-nearest", "logistic regression")
# What is done on a table is done on every third chapter; images are the longer way.
_TABLES_EVERY = 3
# Who dies; everyone means the whole machine. Elsewhere it is the process that does the phase.
_VICTIMS = {
    "deploy": ("caller", "caller", "everyone"),
    "start": ("caller", "caller", "everyone"),
    "ask": ("supervisor", "replica", "everyone"),
    "everything": ("caller", "caller", "everyone"),
}
_WITH_SERVER = _VICTIMS.keys()
_PATIENCE = 120.0
_LONGEST = 2000  # characters of a complaint
_PR_SET_CHILD_SUBREAPER = 36


class Aim(Struct, frozen=True):
    """What to kill: a phase, between two words that its process says."""

    phase: str
    first: str
    last: str = "done"


AIMS = {phase: Aim(phase, phase) for phase in PHASES} | {
    "train": Aim("train", "train", "register"),
    "register": Aim("train", "register"),
    # The same, while no server runs.
    "start": Aim("deploy", "deploy"),
}


class Span(Struct, frozen=True):
    """How long a phase takes: in seconds, and from one step to another."""

    seconds: float
    first: int
    last: int


class Report(Struct):
    """What came of all rounds.

    Attributes:
        aimed: rounds by what was to be killed.
        landed: kills by the phase that they interrupted.
        seconds: mean duration of each phase, undisturbed.
        complaints: what was wrong, with the round after which it was found first.
    """

    seed: int
    rounds: int = 0
    elapsed: float = 0.0
    aimed: Counter[str] = msgspec.field(default_factory=Counter)
    landed: Counter[str] = msgspec.field(default_factory=Counter)
    seconds: dict[str, float] = {}
    complaints: list[str] = []


class Driver:
    """Does all rounds of one run in a directory of its own."""

    def __init__(self, root: Path, rounds: int, seed: int) -> None:
        self._root = root
        self._home, self._twin = root / "home", root / "twin"
        self._rounds = rounds
        self._random = random.Random(seed)
        self._report = Report(seed)
        self._round = "the undisturbed way"
        self._promises: dict[str, Promise] = {}
        self._answers: list[str] = []
        self._found: set[str] = set()
        self._spans: dict[str, list[float]] = defaultdict(list)
        # Of what the twin does not do; the first two are measured at the beginning.
        self._usual = {"start": Span(0, 0, 0), "deploy": Span(0, 0, 0), "ask": Span(0.5, 0, 0)}

    def run(self) -> Report:
        """Return what came of it."""
        begin = time.monotonic()
        self._prepare()
        for names, chapter in self._plan():
            stepwise = self._random.random() < 0.5
            expected, spans = self._undisturbed(names, chapter, stepwise)
            for name in names:
                if self._report.rounds < self._rounds:
                    self._crash(name, chapter, spans[name], stepwise)
            self._again(AIMS[names[-1]].phase, chapter, expected)
            if self._report.rounds == self._rounds:
                break
        self._finish()
        self._report.elapsed = round(time.monotonic() - begin, 1)
        self._report.seconds = {name: round(mean(took), 3) for name, took in self._spans.items()}
        return self._report

    def _prepare(self) -> None:
        """Make the two workspaces, and go the way once to learn how long a deployment takes."""

        def make(workspace: Workspace, say: Say) -> None:
            for secret in (workspace_token, public_key, digest_key, journal_of):
                secret(workspace)
            workspace.close()

        self._child(make).finish()
        shutil.copytree(self._home, self._twin)
        chapter = self._chapter(0)
        for name in ("start", "deploy"):
            expected, _ = self._undisturbed(("prepare",), chapter, False)
            self._again("prepare", chapter, expected)
            child = self._child(partial(perform, "deploy", chapter=chapter), die_at=0)
            self._keep(child.finish())
            self._usual[name] = self._measure(name, child)
            chapter = self._chapter(1)
        self._check()

    def _plan(self) -> Iterator[tuple[tuple[str, ...], Chapter]]:
        """Yield what to kill: one phase after another, then a program that goes the whole way."""
        number = 1
        while True:
            number += 1
            chapter = self._chapter(number)
            yield ("import",), chapter
            yield ("split",), chapter
            # Killed twice before it is let through.
            yield ("train", "register"), chapter
            yield ("evaluate",), chapter
            yield (self._random.choice(("deploy", "start")),), chapter
            yield ("ask",), chapter
            chapter.grow()
            yield ("import",), chapter
            yield (self._random.choice(("rotate", "collect")),), chapter
            number += 1
            yield ("everything",), self._chapter(number)

    def _chapter(self, number: int) -> Chapter:
        name = f"rows-{number}.csv" if number % _TABLES_EVERY == 1 else f"images-{number}"
        chapter = Chapter(number, self._root / name, _MODELS[number % len(_MODELS)])
        chapter.write()
        return chapter

    def _undisturbed(
        self, names: tuple[str, ...], chapter: Chapter, stepwise: bool
    ) -> tuple[list[Promise] | None, dict[str, Span]]:
        """Do in the twin what is about to be killed; return what it stored and how long it took.

        The twin has no server, so deployments are not done there. Counting steps takes time,
        so steps or time are learned, as they are needed.
        """
        phase = AIMS[names[0]].phase
        if phase in ("deploy", "ask"):
            return None, {name: self._usual[name] for name in names}
        phase = "prepare" if phase == "everything" else phase
        child = self._child(
            partial(perform, phase, chapter=chapter), self._twin, 0 if stepwise else None
        )
        stored = msgspec.convert(child.finish(), list[Promise])
        if phase == "prepare":
            before, after = self._measure(phase, child), self._usual["deploy"]
            return stored, {
                names[0]: Span(
                    before.seconds + after.seconds, before.first, before.last + after.last
                )
            }
        return stored, {name: self._measure(name, child) for name in names}

    def _measure(self, name: str, child: Child) -> Span:
        aim = AIMS[name]
        first, last = child.mark(aim.first), child.mark(aim.last)
        self._spans[name].append(last.time - first.time)
        return Span(last.time - first.time, first.steps + 1, last.steps)

    def _crash(self, name: str, chapter: Chapter, span: Span, stepwise: bool) -> None:
        """Kill at a random moment, and look at what is left."""
        aim = AIMS[name]
        self._report.rounds += 1
        self._report.aimed[name] += 1
        if name == "start":
            self._child(lambda workspace, say: down(workspace)).finish()
        victim = self._random.choice(_VICTIMS.get(name, ("caller",)))
        stepwise = stepwise and victim == "caller"
        step = self._random.randint(span.first, max(span.first, span.last)) if stepwise else None
        delay = span.seconds * self._random.random()
        if name == "start" and self._random.random() < 0.5:
            # Programs and servers meet in its first moments; the rest is imports.
            delay *= 0.2
        when = f"step {step}" if stepwise else f"{delay:.3f} s"
        self._round = f"round {self._report.rounds} ({name}: {victim} killed at {when})"
        child = self._child(partial(perform, aim.phase, chapter=chapter), die_at=step)
        if stepwise:
            child.listen("done", _PATIENCE)
        else:
            child.listen(aim.first, _PATIENCE)
            child.listen("done", delay)
            if victim in ("supervisor", "replica"):
                self._kill_server(victim)
                # What it still gets answered is promised, too.
                child.listen("failed", 1.0)
            child.kill()
        if victim == "everyone":
            _kill_all()
        try:
            child.end()
        except ChildFailed as error:
            # Whoever asks a server that is killed is told so.
            if name != "ask":
                self._complain([f"it failed before it was killed: {error}"])
        _reap()
        words = [mark.word for mark in child.marks if mark.word in AIMS]
        if not child.said("done"):
            self._report.landed[words[-1] if words else "nothing yet"] += 1
        for word in ("kept", "done"):
            for body in child.bodies(word):
                self._keep(body)
        print(f"{self._round}: {'it was over' if child.said('done') else words[-1:]}", flush=True)
        answers = [msgspec.convert(body, Prediction).id for body in child.bodies("answer")]
        self._answers += answers
        # A user may come back at once, while a server is still starting or going down.
        if name not in _WITH_SERVER or self._random.random() < 0.5:
            self._check(answers)

    def _again(self, phase: str, chapter: Chapter, expected: list[Promise] | None) -> None:
        """Go the way to its end, and compare what is stored then with what the twin stored."""
        self._round += ", then done again"
        try:
            if phase == "ask":
                self._child(lambda workspace, say: up(workspace) and None).finish()
            else:
                stored = self._child(partial(perform, phase, chapter=chapter)).finish()
                self._keep(stored)
                self._compare(expected, msgspec.convert(stored, list[Promise]))
            if phase in ("deploy", "ask", "everything"):
                self._child(partial(_answers_rightly, chapter=chapter)).finish()
        except ChildFailed as error:
            self._complain([f"the rerun failed: {error}"])
        self._check()

    def _keep(self, stored: Any) -> None:
        for promise in msgspec.convert(stored, list[Promise]):
            known = self._promises.setdefault(promise.id, promise)
            if known != promise:
                self._complain([f"{promise.ref} was promised twice, differently"])

    def _compare(self, expected: list[Promise] | None, stored: list[Promise]) -> None:
        """Compare by everything but ids, which are random."""
        if expected is None:
            return
        # The endpoint is what the twin does not have.
        stored = [promise for promise in stored if promise.kind != "deployment"]
        for one, other in itertools.zip_longest(map(_bare, expected), map(_bare, stored)):
            if one != other:
                text = f"stored otherwise than undisturbed: {other}, not {one}"
                self._complain([text[:_LONGEST]])

    def _check(self, answers: list[str] | None = None) -> None:
        """Let a child judge the workspace against all that was ever promised."""
        promises = list(self._promises.values())
        judge = partial(_judge, promises=promises, answers=answers or [])
        self._complain(self._child(judge).finish())

    def _complain(self, complaints_: list[str]) -> None:
        """Note what was not noted before: what is lost once stays lost."""
        for text in complaints_:
            if text not in self._found:
                self._found.add(text)
                self._report.complaints.append(f"{self._round}: {text}")
                print(self._report.complaints[-1], flush=True)

    def _kill_server(self, victim: str) -> None:
        """Kill a process of the server by its pid file."""
        if victim == "supervisor":
            running = pid_file(self._home).read(Running)
            pid = None if running is None else running.pid
        else:
            pid = replica_files(self._home)[0].read(int)
        if pid is None:
            self._complain([f"no {victim} runs although a deployment was promised"])
        else:
            os.kill(pid, signal.SIGKILL)

    def _finish(self) -> None:
        """Stop, collect, and see that everything is there and nothing else."""
        self._round = "the end"

        def close(workspace: Workspace, say: Say) -> None:
            down(workspace)
            workspace.keys.rotate()
            workspace.objects.collect(timedelta(0))
            if faults := list(workspace.verify()):
                say("failed", f"after a collection: {faults}")

        try:
            self._child(close).finish()
        except ChildFailed as error:
            self._complain([str(error)])
        self._check(self._answers)
        deadline = time.monotonic() + 10
        while (left := _descendants()) and time.monotonic() < deadline:
            _reap()
            time.sleep(0.1)
        self._complain([f"a process is left over: {process}" for process in left])
        self._complain([f"a file is left over: {path}" for path in leftovers(self._home)])
        temporary = self._root / "tmp"
        self._complain([f"a file is left over: {path}" for path in temporary.iterdir()])

    def _child(
        self,
        work: Callable[[Workspace, Say], Any],
        home: Path | None = None,
        die_at: int | None = None,
    ) -> Child:
        settings = Settings.load(home or self._home)

        def run(say: Say) -> Any:
            return work(Workspace.open(settings=settings), say=say)

        return Child(run, self._root / "child.log", die_at)


def _bare(promise: Promise) -> tuple[str, str, Any]:
    return promise.kind, promise.ref.replace(promise.id, ""), promise.content


def _judge(
    workspace: Workspace, say: Say, promises: list[Promise], answers: list[str]
) -> list[str]:
    return complaints(workspace, promises, answers)


def _answers_rightly(workspace: Workspace, say: Say, chapter: Chapter) -> None:
    """The endpoint answers as the chapter's model does, and only to whoever has the token."""
    endpoint = deployment(ENDPOINT, workspace=workspace)
    example = chapter.example()
    answer = endpoint.predict(example)
    assert isinstance(answer, Prediction)
    node = workspace.lineage.find("model", chapter.model, 1)
    predictor = Predictor.load(workspace, node)
    if chapter.is_table:
        features = predictor.features([example])
    else:
        array, meta = decode_upload(example.read_bytes())
        features = predictor.features_from_images([array], [meta])
    expected = dict(zip(predictor.classes, predictor.run(features)[0].tolist(), strict=True))
    assert (endpoint.model, answer.version) == (node.ref, 1), (endpoint, answer)
    assert answer.probabilities.keys() == expected.keys(), (answer, expected)
    for label, share in expected.items():
        np.testing.assert_allclose(answer.probabilities[label], share, atol=1e-6)
    refused = urllib3.request("POST", endpoint.url, json=[{}], retries=False)
    assert refused.status == 401, refused.status


def _descendants() -> list[psutil.Process]:
    """Return every living process that comes from this one, however far."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _kill_all() -> None:
    """Kill every process that comes from this one; some may be starting others meanwhile."""
    while living := _descendants():
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.01)


def _reap() -> None:
    """Take leave of processes whose parents were killed."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none gets away."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _preload() -> None:
    """Import what the children would each import on first use."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    for module in (
        "onnxruntime",
        "skl2onnx",
        "skops.io",
        "skimage.restoration",
        "sklearn.linear_model",
        "sklearn.naive_bayes",
        "sklearn.neighbors",
        "sklearn.svm",
        "sklearn.tree",
    ):
        import_module(module)


def main(root: str, rounds: str, seed: str) -> None:
    """Do the rounds, and write the report as the last line of standard output."""
    _adopt_orphans()
    _preload()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    writer.PACK_BYTES, writer._PENDING_COUNT = _PACK_BYTES, _PENDING
    (Path(root) / "tmp").mkdir()
    os.environ |= {"LEPTON_PORT": "0", "TMPDIR": f"{root}/tmp"}
    try:
        report = Driver(Path(root), int(rounds), int(seed)).run()
    finally:
        _kill_all()
    print(msgspec.json.encode(report).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
