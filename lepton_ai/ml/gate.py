"""The gate in front of the registry: which form of a fitted model answers as it was trained."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt
from lepton_ai.data.catalog import open_dataset
from lepton_ai.ml import zoo
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.export import NotExportable, export
from lepton_ai.ml.fitting import Fitted
from lepton_ai.ml.parity import Parity, compare
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.preparing import evenly, features_of
from lepton_ai.ml.runtimes.runtime import dump_native, load_runtime
from lepton_ai.ml.task import Task
from lepton_ai.storage import Node

__all__ = ["GATE_ROWS", "held_out_rows", "served_form", "sibling_of"]

Matrix = NDArray[np.float64]

GATE_ROWS = 4000
"""The gate looks at no more rows of each kind: an export is wrong in many rows or none."""


def served_form(
    task: Task, entry: zoo.Entry, fitted: Fitted, training: Matrix, held_out: Matrix
) -> tuple[str, str, Parity | None, bytes]:
    """Return format, reason, parity and bytes of the form to serve: ONNX where it is faithful.

    Any other form is read back and compared too: what answers otherwise is not registered.

    Raises:
        Corrupt: no form of the model answers as it was trained.
    """
    trained, blocks = _Trained(task, fitted), [training, held_out]
    shares = task.output == "probabilities"
    parity: Parity | None = None
    try:
        exported = export(fitted.estimator, training.shape[1], task)
        parity = compare(trained, load_runtime("onnx", exported, task), blocks, shares=shares)
    except (NotExportable, Corrupt) as error:
        reason = str(error)
    else:
        if parity.passed:
            return "onnx", "", parity, exported
        reason = f"the ONNX form answers otherwise than the trained model: {parity}"
    native = dump_native(entry.native, fitted.estimator)
    back = compare(
        trained, load_runtime(entry.native, native, task, trusted=True), blocks, shares=shares
    )
    if not back.passed:
        raise Corrupt(
            f"no form of this {entry.name} answers as it was trained: {reason}; as "
            f"{entry.native}: {back}"
        )
    return entry.native, reason, parity, native


class _Trained:
    """The estimator as it was trained, as a runtime."""

    def __init__(self, task: Task, fitted: Fitted) -> None:
        self._task = task
        self._estimator = fitted.estimator

    def run(self, matrix: Matrix) -> Matrix:
        return self._task.answers(self._estimator, matrix)


def sibling_of(examples: Examples) -> Node | None:
    """Return the split's other side, where the examples are the training side of one."""
    node = examples.dataset.node
    if node is None or node.kind != "split" or node.facts.get("side") != "train":
        return None
    lineage = examples.dataset.workspace.lineage
    siblings = lineage.nodes(node.facts["siblings"]).values()
    return next((other for other in siblings if other.facts["side"] == "test"), None)


def held_out_rows(preparation: Preparation, examples: Examples, sibling: Node) -> Matrix | None:
    """Return features of the other side's rows; its labels are not looked at."""
    data = open_dataset(sibling.id, examples.dataset.workspace)
    if not preparation.window:
        # Of series every step stays: a window must not skip any.
        data = data.take(evenly(len(data), GATE_ROWS))
    hidden = (examples.target, examples.grouped_by, *examples.beside)
    if not len(data):
        return None
    time = examples.beside[-1] if examples.times is not None else None
    return features_of(preparation, data, hidden, groups=examples.grouped_by, time=time)
