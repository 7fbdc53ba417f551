"""Description: the facts of a model that its bundle carries, as ``model.json``."""

import platform
from importlib.metadata import version
from typing import Any, Self

import msgspec
from msgspec import Struct

from lepton_ai import __version__
from lepton_ai.core.errors import Corrupt
from lepton_ai.ml.bundle.origin import Origin
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.ml.evaluation.thresholds import Threshold
from lepton_ai.ml.outcome import Outcome
from lepton_ai.ml.parity import Parity
from lepton_ai.ml.selection.leaderboard import Leaderboard

__all__ = ["Description", "TrainedOn", "environment"]

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime", "skops")


class TrainedOn(Struct, frozen=True):
    """The rows that a model learned from.

    Attributes:
        dataset: ``name:version`` of the dataset.
        content: SHA-256 over the features' and labels' bytes in order: what was learned from,
            wherever it was stored.
        classes: how many rows of each class, where rows have one.
        groups: how many groups (patients), where groups are known.
        held_out: how many rows of the sibling side the parity gate saw, without their labels.
    """

    dataset: str
    content: str
    rows: int
    classes: dict[str, int] = {}
    groups: int | None = None
    held_out: int = 0


class Description(Struct, frozen=True, kw_only=True):
    """What a model is. It holds no clock and no chance: the same training gives the same bytes.

    Attributes:
        name: the model's name in the registry.
        model_type: the zoo's name of it.
        parameters: those that the caller set.
        settings: every parameter that a caller may set, with the value it had.
        seed: of everything random.
        format: the form that is served; the parity gate chose it.
        reason: why the model is not served as ONNX, empty where it is.
        parity: what the gate measured, None where there is no ONNX form.
        outcome: what the answers mean; its tag is the task.
        features: how many the encoding makes of a row.
        target: the column of the labels or values, where rows come from a table.
        grouped_by: the column of the groups, where there is one.
        sample_weight: the column of the rows' weights, where there is one.
        time: the column of the rows' order, where there is one.
        balanced: whether each class weighed the same in all.
        asked: all that was asked of the training beside the defaults, so that it can be repeated.
        leaderboard: what the model was chosen among, where it was chosen.
        threshold: how the probability was chosen from which on a row is labelled positive.
        aim: what that was to reach, as it was asked for.
        calibrate: by what probabilities were recalibrated on answers out of fold.
        notes: what a reader should know, such as a calibration on few rows.
        origin: of a model that comes with the package, where it was made, and of what.
        environment: versions of what trained it.
        files: SHA-256 of each other file of the bundle.
    """

    name: str
    model_type: str
    parameters: dict[str, Any]
    settings: dict[str, Any]
    seed: int
    format: str
    reason: str
    parity: Parity | None
    signature: Signature
    outcome: Outcome
    features: int
    target: str | None
    grouped_by: str | None
    sample_weight: str | None = None
    time: str | None = None
    balanced: bool = False
    asked: dict[str, Any] = {}
    trained_on: TrainedOn
    leaderboard: Leaderboard | None = None
    threshold: Threshold | None = None
    aim: Any = None
    calibrate: str | None = None
    notes: tuple[str, ...]
    origin: Origin | None = None
    environment: dict[str, str]
    files: dict[str, str] = {}

    @property
    def task(self) -> str:
        """The task, such as ``classification``."""
        return str(self.outcome.__struct_config__.tag)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The columns of the training data that are no features."""
        columns = (self.target, self.grouped_by, self.sample_weight, self.time)
        return tuple(name for name in columns if name is not None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the answers: of classes, clusters, what is predicted, or series."""
        return self.outcome.names

    def to_json(self) -> bytes:
        """Return the description as JSON, indented for a reader."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a description back.

        Raises:
            Corrupt: the bytes are no description.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Corrupt(f"not a model description: {error}") from error


def environment(*more: str) -> dict[str, str]:
    """Return the versions of what a training's result depends on.

    Args:
        more: distributions beside those that every training uses.
    """
    return {
        "lepton-ai": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{library: version(library) for library in (*_LIBRARIES, *more)},
    }
