"""Ensembles: several models of the zoo whose answers are averaged by weight.

An ensemble is a row of the zoo like any other: its members are plain data, so that it is trained
again, stored and served as a single model is. Its ONNX form is one graph that holds the members'
graphs; where one of them has none, the ensemble is kept as the members' own formats.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper, version_converter
from onnx.utils import Extractor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import fitting, zoo
from lepton_ai.ml.export import export, name_by_place
from lepton_ai.ml.runtimes.runtime import Refused, dump_native
from lepton_ai.ml.selection.ensemble_runtime import Kept
from lepton_ai.ml.task import CLASSIFICATION, REGRESSION, Task

__all__ = ["EnsembleClassifier", "EnsembleRegressor", "dumps"]

Matrix = NDArray[np.float64]

_WORDS = {"model", "parameters", "weight"}
# Operator sets of the merged graph, which are those of skl2onnx's graphs.
_OPERATORS, _ML_OPERATORS = 18, 3
_FORMAT = 9


class _Ensemble(BaseEstimator):  # type: ignore[misc]
    """Averages models of the zoo.

    Args:
        members: of each, ``model`` (a name of the zoo), ``parameters`` (a mapping) and ``weight``
            (above 0; they are made to sum to 1). None takes a linear model and boosting.
        shape: how a row of features folds, for networks.
        threads: that a member may fit on.
        random_state: seed of every member.
    """

    task: ClassVar[Task]
    usual: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        *,
        members: Sequence[Mapping[str, Any]] | None = None,
        shape: tuple[int, ...] | None = None,
        threads: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.members = members
        self.shape = shape
        self.threads = threads
        self.random_state = random_state

    def _learn(
        self, matrix: Matrix, target: NDArray[Any], weights: Any, groups: Any, times: Any
    ) -> None:
        chosen = self.members
        chosen = [{"model": name} for name in self.usual] if chosen is None else chosen
        named = [_entry(member, self.task) for member in chosen]
        shares = np.array([float(member.get("weight", 1.0)) for member in chosen])
        if not len(shares) or (shares <= 0).any() or not np.isfinite(shares).all():
            raise InvalidInput(
                f"an ensemble needs members of weights above 0; got {shares.tolist()}"
            )
        if weights is not None:
            weights = _check_sample_weight(weights, matrix)
        options: dict[str, Any] = {
            "seed": self.random_state if isinstance(self.random_state, int) else 0,
            "task": self.task,
            "groups": groups,
            "weights": weights,
            "times": times,
            "shape": self.shape,
            "workers": self.threads or 1,
        }
        with warnings.catch_warnings():
            # A member that does not settle was weighed as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.estimators_ = [
                fitting.fit(
                    entry, matrix, target, parameters=dict(member.get("parameters", {})), **options
                ).estimator
                for entry, member in zip(named, chosen, strict=True)
            ]
        self.native_ = [entry.native for entry in named]
        self.weights_ = shares / shares.sum()

    def _answers(self, X: Any) -> Matrix:  # noqa: N803
        check_is_fitted(self, "estimators_")
        matrix = validate_data(self, X, dtype=np.float64, reset=False)
        pairs = zip(self.weights_, self.estimators_, strict=True)
        answers: Matrix = sum(
            (weight * self.task.answers(estimator, matrix) for weight, estimator in pairs),
            start=np.zeros(1),
        )
        return answers

    def to_onnx(self) -> bytes:
        """Return the whole ensemble as one ONNX graph, the same bytes for the same members.

        Raises:
            NotExportable: a member has no ONNX form.
        """
        check_is_fitted(self, "estimators_")
        graphs = [export(each, self.n_features_in_, self.task) for each in self.estimators_]
        return _merged(graphs, self.weights_, self.n_features_in_, self.task)


class EnsembleClassifier(ClassifierMixin, _Ensemble):  # type: ignore[misc]
    """Averages the probabilities of several classifiers."""

    task = CLASSIFICATION
    usual = ("logistic regression", "histogram gradient boosting")

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        times: Any = None,
    ) -> Self:
        """Learn from features (rows, features) and classes (rows,).

        Args:
            X: the features.
            y: the classes.
            sample_weight: of the rows.
            groups: of the rows, for members that hold rows out.
            times: of the rows, for members that hold rows out.
        """
        matrix, target = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidInput("a classifier needs two classes or more; y has one class")
        self._learn(matrix, codes, sample_weight, groups, times)
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row (rows,)."""
        check_is_fitted(self, "estimators_")
        classes: NDArray[Any] = self.classes_[self._answers(X).argmax(axis=1)]
        return classes

    def predict_proba(self, X: Any) -> Matrix:  # noqa: N803
        """Return the probability of each class (rows, classes)."""
        return self._answers(X)


class EnsembleRegressor(RegressorMixin, _Ensemble):  # type: ignore[misc]
    """Averages the values of several regressors."""

    task = REGRESSION
    usual = ("ridge", "histogram gradient boosting")

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        times: Any = None,
    ) -> Self:
        """Learn from features (rows, features) and values (rows,); see `EnsembleClassifier`."""
        matrix, target = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2
        )
        self._learn(matrix, target, sample_weight, groups, times)
        return self

    def predict(self, X: Any) -> Matrix:  # noqa: N803
        """Return the value of each row (rows,)."""
        return self._answers(X)[:, 0]


def dumps(estimator: Any) -> bytes:
    """Write a fitted ensemble as its members' own formats.

    Raises:
        Refused: it is none, or a member holds something that is never stored.
    """
    if not isinstance(estimator, _Ensemble):
        raise Refused(f"a {type(estimator).__name__} is no ensemble")
    members = zip(estimator.weights_, estimator.native_, estimator.estimators_, strict=True)
    kept = [Kept(float(share), form, dump_native(form, each)) for share, form, each in members]
    return msgspec.msgpack.encode(kept)


def _entry(member: Mapping[str, Any], task: Task) -> zoo.Entry:
    if not isinstance(member, Mapping) or "model" not in member or not member.keys() <= _WORDS:
        raise InvalidInput(
            "a member of an ensemble is a mapping with 'model' and, if wanted, 'parameters' and "
            f"'weight'; got {member!r}"
        )
    entry = zoo.find(member["model"], task.name)
    if entry.native == "ensemble":
        raise InvalidInput("an ensemble cannot be a member of an ensemble; list its members")
    return entry


def _merged(graphs: Sequence[bytes], weights: Matrix, features: int, task: Task) -> bytes:
    """Join graphs of one input into one, whose answers are their weighted sum."""
    nodes, constants, weighed = [], [], []
    for place, (data, weight) in enumerate(zip(graphs, weights, strict=True)):
        model = onnx.load_from_string(data)
        # Labels, which some converters add, are nobody's answer here.
        model = Extractor(model).extract_model(["X"], [task.output])
        model = version_converter.convert_version(_modern(model), _OPERATORS)
        graph = compose.add_prefix(model, f"m{place}/").graph
        for node in graph.node:
            node.input[:] = ["X" if name == f"m{place}/X" else name for name in node.input]
        nodes += graph.node
        constants += [
            *graph.initializer,
            numpy_helper.from_array(np.array(weight, dtype=np.float32), f"weight{place}"),
        ]
        nodes.append(
            helper.make_node("Mul", [f"m{place}/{task.output}", f"weight{place}"], [f"w{place}"])
        )
        weighed.append(f"w{place}")
    nodes.append(helper.make_node("Sum", weighed, [task.output]))
    graph = helper.make_graph(
        nodes,
        task.noun,
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info(task.output, onnx.TensorProto.FLOAT, [None, None])],
        constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[
            helper.make_opsetid("", _OPERATORS),
            helper.make_opsetid("ai.onnx.ml", _ML_OPERATORS),
        ],
        ir_version=_FORMAT,
    )
    name_by_place(model)
    data = model.SerializeToString(deterministic=True)
    return bytes(data)


def _modern(model: Any) -> Any:
    """State the newest set of the machine-learning operators, which only adds to the older."""
    for item in model.opset_import:
        if item.domain == "ai.onnx.ml":
            item.version = max(item.version, _ML_OPERATORS)
    if not any(item.domain == "" for item in model.opset_import):
        # Trees alone need none of the general operators, so that their graph names no set.
        model.opset_import.append(helper.make_opsetid("", _OPERATORS))
    return model
