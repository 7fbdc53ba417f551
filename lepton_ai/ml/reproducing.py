"""Reproducing: a model trained again from its lineage, and compared byte for byte.

Nothing is registered. What differs is named: an input (a library, the package of a custom model,
the machine, the data), or, where no recorded input does, only the bytes, with how far the answers
lie apart.
"""

import hashlib
import os
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lepton_ai.core.errors import LeptonError
from lepton_ai.ml import zoo
from lepton_ai.ml.bundle.bundle import SIGNATURE, seal
from lepton_ai.ml.bundle.description import Description, environment
from lepton_ai.ml.bundle.machine import machine
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.model import Model
from lepton_ai.ml.parity import Parity, compare
from lepton_ai.ml.preparing import evenly
from lepton_ai.ml.registry import get
from lepton_ai.ml.repeating import repeat, run_of, training_data, wish_of
from lepton_ai.ml.runtimes.runtime import FORMATS, load_runtime
from lepton_ai.ml.task import TASKS
from lepton_ai.storage import Node, Workspace

__all__ = ["Change", "File", "Reproduction", "reproduce"]

_MOST_ROWS = 4000
_MOST_FIELDS = 20
_ABSENT = "not installed"


class Change(Struct, frozen=True):
    """An input of the training that is another one now."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.then} then, {self.now} now"


class File(Struct, frozen=True):
    """One file of the bundle, then and now.

    Attributes:
        name: of the file.
        then: SHA-256 of the registered one; empty where the bundle had none.
        now: SHA-256 of the one that was made anew; empty where there is none.
        fields: of JSON, the places that differ.
    """

    name: str
    then: str
    now: str
    fields: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every byte is the same."""
        return self.then == self.now


class Reproduction(Struct, frozen=True, kw_only=True):
    """What came out.

    Attributes:
        model: ``name:version``.
        verdict: ``equal``: every byte is; ``different``: it was trained again, and bytes differ;
            ``impossible``: an input is gone.
        reason: what the verdict rests on.
        inputs: that are other ones now.
        files: of the bundle, less the signature.
        answers: how far the two models' answers lie apart, where the served file differs.
    """

    model: str
    verdict: Literal["equal", "different", "impossible"]
    reason: str
    inputs: tuple[Change, ...] = ()
    files: tuple[File, ...] = ()
    answers: Parity | None = None


class _Again(Struct):
    """Takes the bundle of the second training in the registry's place."""

    node: Node
    description: Description | None = None
    files: dict[str, bytes] = {}

    def __call__(
        self,
        workspace: Workspace,
        description: Description,
        files: Mapping[str, bytes],
        parents: Any,
        machine: Any = None,
    ) -> Node:
        self.description, self.files = description, seal(workspace, description, files)
        return self.node


def reproduce(
    model: Model | str, *, workers: int | None = None, workspace: Workspace | None = None
) -> Reproduction:
    """Train a model again from exactly what it was trained on, and compare every file.

    Args:
        model: a registered model, or a reference to one.
        workers: threads that may grow trees; as many as then unless given.
        workspace: where to look a reference up; the default one unless given.

    Raises:
        NotFound: there is no such model.
        Corrupt: its stored bundle was altered.
    """
    chosen = get(model, workspace) if isinstance(model, str) else model
    then = {name: chosen.bundle.read(name) for name in chosen.bundle.names if name != SIGNATURE}
    ran_on: dict[str, Any] = run_of(chosen).facts.get("machine", {})
    threads = workers or ran_on.get("workers") or os.cpu_count() or 1
    inputs = _changes(chosen, ran_on, threads)
    again = _Again(chosen.node)
    try:
        wish = replace(wish_of(chosen), workers=threads, keep=again)
        data = training_data(chosen)
        with warnings.catch_warnings():
            # They were heard at the first training.
            warnings.simplefilter("ignore")
            repeat(chosen.task, data, wish)
    except LeptonError as error:
        reason = f"the model cannot be trained again: {error}"
        return Reproduction(model=chosen.ref, verdict="impossible", reason=reason, inputs=inputs)
    files = tuple(
        File(
            name,
            _digest(then.get(name)),
            _digest(again.files.get(name)),
            _places(then.get(name), again.files.get(name)) if name.endswith(".json") else (),
        )
        for name in sorted(then.keys() | again.files.keys() - {SIGNATURE})
    )
    if all(file.equal for file in files):
        reason = f"all {len(files)} files are equal to the last byte"
        return Reproduction(
            model=chosen.ref, verdict="equal", reason=reason, inputs=inputs, files=files
        )
    return Reproduction(
        model=chosen.ref,
        verdict="different",
        reason=_reason(files, inputs),
        inputs=inputs,
        files=files,
        answers=_apart(chosen, data, again),
    )


def _changes(model: Model, ran_on: Mapping[str, Any], workers: int) -> tuple[Change, ...]:
    """Compare libraries, the package of a custom model, and the machine with those of then."""
    said = model.description
    present = environment()
    now: dict[str, str] = {name: present.get(name) or _version(name) for name in said.environment}
    if said.format == "custom":
        try:
            now |= zoo.find(said.model_type, said.task).fingerprint
        except LeptonError as error:
            now |= {name: str(error) for name in now if name.endswith(" files")}
    then = {**said.environment, **{name: str(value) for name, value in ran_on.items()}}
    here = machine(workers)
    now |= {name: str(here.get(name, "")) for name in ran_on}
    return tuple(
        Change(name, value, now[name]) for name, value in then.items() if now[name] != value
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return _ABSENT


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


def _places(then: bytes | None, now: bytes | None) -> tuple[str, ...]:
    """Return where two JSON documents differ."""
    if then is None or now is None or then == now:
        return ()
    found: list[str] = []

    def walk(one: Any, other: Any, place: str) -> None:
        if isinstance(one, dict) and isinstance(other, dict):
            for key in sorted(one.keys() | other.keys()):
                walk(one.get(key), other.get(key), f"{place}.{key}" if place else str(key))
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            for number, pair in enumerate(zip(one, other, strict=True)):
                walk(*pair, f"{place}[{number}]")
        elif one != other:
            found.append(place)

    walk(msgspec.json.decode(then), msgspec.json.decode(now), "")
    return tuple(found[:_MOST_FIELDS])


def _reason(files: tuple[File, ...], inputs: tuple[Change, ...]) -> str:
    differ = ", ".join(file.name for file in files if not file.equal)
    if inputs:
        return f"{differ} differ; so do these inputs: {'; '.join(map(str, inputs))}"
    return f"{differ} differ, although no recorded input does"


def _apart(model: Model, data: Any, again: _Again) -> Parity | None:
    """Compare the answers to training rows, where the form that is served differs."""
    said, made = model.description, again.description
    assert made is not None
    file = FORMATS[made.format].file
    if made.outcome.width != said.outcome.width or made.features != said.features:
        return None
    if said.format == made.format and model.bundle.read(file) == again.files[file]:
        return None
    task = TASKS[said.task]
    rows = data.matrix if isinstance(data, Examples) else data
    matrix = model.features(rows)
    return compare(
        model.predictor,
        load_runtime(made.format, again.files[file], task),
        [matrix[evenly(len(matrix), _MOST_ROWS)]],
        shares=task.output == "probabilities",
    )
