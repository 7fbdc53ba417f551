"""The baseline: the same answer for every row, which any model must beat."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from lepton_ai.ml.task import CLASSIFICATION, REGRESSION, Task

__all__ = ["ConstantClassifier", "ConstantRegressor"]

Matrix = NDArray[np.float64]

_OPERATORS = 18
_FORMAT = 9


class _Constant:
    """Keeps one row of answers."""

    answer_: Matrix
    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc] # of the bases beside this one
        for task in (tags.classifier_tags, tags.regressor_tags):
            if task is not None:
                task.poor_score = True
        return tags

    def _answers(self, X: Any) -> Matrix:  # noqa: N803
        check_is_fitted(self, "answer_")
        rows = len(validate_data(self, X, dtype=np.float64, reset=False))
        return np.tile(self.answer_, (rows, 1))

    def _graph(self, task: Task) -> bytes:
        """Return ONNX that repeats the answer for each row of ``X``."""
        check_is_fitted(self, "answer_")
        width = len(self.answer_)
        answer = self.answer_.astype(np.float32)[None]
        graph = helper.make_graph(
            [
                helper.make_node("Shape", ["X"], ["rows"], start=0, end=1),
                helper.make_node("Concat", ["rows", "width"], ["shape"], axis=0),
                helper.make_node("Expand", ["answer", "shape"], [task.output]),
            ],
            task.noun,
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, self.n_features_in_])],
            [helper.make_tensor_value_info(task.output, TensorProto.FLOAT, [None, width])],
            [
                numpy_helper.from_array(np.array([width], dtype=np.int64), "width"),
                numpy_helper.from_array(answer, "answer"),
            ],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPERATORS)], ir_version=_FORMAT
        )
        data: bytes = model.SerializeToString(deterministic=True)
        return data


class ConstantClassifier(_Constant, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with the share of each class among the rows that it learned from."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from features (rows, features), of which nothing is kept, and classes (rows,)."""
        matrix, target = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(target)
        weights = _check_sample_weight(sample_weight, matrix)
        self.classes_, codes = np.unique(target, return_inverse=True)
        total = np.bincount(codes, weights, minlength=len(self.classes_))
        self.answer_ = total / total.sum()
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most frequent class for each row (rows,)."""
        codes = self._answers(X).argmax(axis=1)
        classes: NDArray[Any] = self.classes_[codes]
        return classes

    def predict_proba(self, X: Any) -> Matrix:  # noqa: N803
        """Return the share of each class for each row (rows, classes)."""
        return self._answers(X)

    def to_onnx(self) -> bytes:
        """Return the shares as ONNX: ``X`` in, ``probabilities`` out."""
        return self._graph(CLASSIFICATION)


class ConstantRegressor(_Constant, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with the mean of the values that it learned from."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from features (rows, features), of which nothing is kept, and values (rows,)."""
        matrix, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = _check_sample_weight(sample_weight, matrix)
        # As a float32 number, which every form of the model holds.
        mean = np.float32(np.average(target, weights=weights))
        self.answer_ = np.array([mean], dtype=np.float64)
        return self

    def predict(self, X: Any) -> Matrix:  # noqa: N803
        """Return the mean for each row (rows,)."""
        return self._answers(X)[:, 0]

    def to_onnx(self) -> bytes:
        """Return the mean as ONNX: ``X`` in, ``values`` out."""
        return self._graph(REGRESSION)
