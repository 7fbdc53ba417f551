"""CatBoost (Prokhorenkova et al., 2018) as an estimator that knows its parameters.

CatBoost's own classes report only what was set; here each parameter that is worth setting is
listed, training writes no files, and the result is the same for any number of threads.
"""

import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from catboost import CatBoost
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.export import name_by_place, rename, without_maps

__all__ = ["CatBoostClassifier", "CatBoostRegressor"]

Matrix = NDArray[np.float64]

# What of the facts in a model's file it is read by.
_KEPT_FACTS = ("class_params",)


class _CatBoost(BaseEstimator):  # type: ignore[misc]
    """Gradient boosting of oblivious trees.

    Args:
        iterations: trees.
        learning_rate: of each; chosen by the rows and iterations if None.
        depth: of the trees.
        l2_leaf_reg: regularisation of the leaves; chosen by the rows if None.
        random_strength: noise in the choice of splits.
        bagging_temperature: of the Bayesian bootstrap, 0 for equal weights.
        rsm: share of the features that a split may choose from.
        random_state: seed.
        n_jobs: threads that fit it; None for all.
    """

    def __init__(
        self,
        *,
        iterations: int = 500,
        learning_rate: float | None = None,
        depth: int = 6,
        l2_leaf_reg: float | None = None,
        random_strength: float = 1.0,
        bagging_temperature: float = 1.0,
        rsm: float = 1.0,
        random_state: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.depth = depth
        self.l2_leaf_reg = l2_leaf_reg
        self.random_strength = random_strength
        self.bagging_temperature = bagging_temperature
        self.rsm = rsm
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _grow(self, matrix: Matrix, target: Any, weights: Any, loss: str) -> None:
        if weights is not None:
            weights = _check_sample_weight(weights, matrix, ensure_non_negative=True)
            if not weights.any():
                raise InvalidInput("sample_weight leaves no row to learn from: all are zero")
        chosen = {name: value for name, value in self.get_params().items() if value is not None}
        chosen["random_seed"] = chosen.pop("random_state", 0)
        chosen["thread_count"] = chosen.pop("n_jobs", -1)
        model = CatBoost({**chosen, "loss_function": loss, "allow_writing_files": False})
        try:
            model.fit(matrix, target, sample_weight=weights, verbose=False)
        except Exception as error:
            # CatBoost has one error class of its own for everything that is wrong with the data.
            raise InvalidInput(f"CatBoost cannot be fitted to this data: {error}") from error
        self.model_ = model

    def to_cbm(self) -> bytes:
        """Return the fitted trees in CatBoost's own form, the same bytes for the same trees."""
        check_is_fitted(self, "model_")
        bare = CatBoost().load_model(blob=_form(self.model_, "cbm"))
        # When, with what and on how many threads it was trained would make the bytes differ.
        facts = bare.get_metadata()
        for name in list(facts.keys()):
            if name not in _KEPT_FACTS:
                del facts[name]
        return _form(bare, "cbm")

    def to_onnx(self) -> bytes:
        """Return the fitted trees as ONNX: ``X`` in, ``probabilities`` or ``values`` out."""
        check_is_fitted(self, "model_")
        model = onnx.load_from_string(_form(self.model_, "onnx"))
        without_maps(model)
        rename(model, {"features": "X", "predictions": "values"})
        for value in model.graph.output:
            if value.name == "values":
                value.CopyFrom(
                    helper.make_tensor_value_info("values", TensorProto.FLOAT, [None, 1])
                )
        for field in ("producer_name", "producer_version", "doc_string", "metadata_props"):
            model.ClearField(field)
        name_by_place(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


class CatBoostClassifier(ClassifierMixin, _CatBoost):  # type: ignore[misc]
    """Gradient boosting of oblivious trees that gives the probability of each class."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from features (rows, features) and classes (rows,)."""
        matrix, target = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidInput("a classifier needs two classes or more; y has one class")
        loss = "Logloss" if len(self.classes_) == 2 else "MultiClass"
        self._grow(matrix, codes, sample_weight, loss)
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row (rows,)."""
        check_is_fitted(self, "model_")
        classes: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def predict_proba(self, X: Any) -> Matrix:  # noqa: N803
        """Return the probability of each class (rows, classes)."""
        check_is_fitted(self, "model_")
        matrix = validate_data(self, X, dtype=np.float64, reset=False)
        given = self.model_.predict(matrix, prediction_type="Probability", thread_count=1)
        return np.asarray(given, dtype=np.float64)


class CatBoostRegressor(RegressorMixin, _CatBoost):  # type: ignore[misc]
    """Gradient boosting of oblivious trees that predicts a number."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from features (rows, features) and values (rows,)."""
        matrix, target = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2
        )
        self._grow(matrix, target, sample_weight, "RMSE")
        return self

    def predict(self, X: Any) -> Matrix:  # noqa: N803
        """Return the value of each row (rows,)."""
        check_is_fitted(self, "model_")
        matrix = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.model_.predict(matrix, thread_count=1), dtype=np.float64)


def _form(model: CatBoost, name: str) -> bytes:
    # CatBoost writes to paths only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save_model(str(path), format=name)
        return path.read_bytes()
