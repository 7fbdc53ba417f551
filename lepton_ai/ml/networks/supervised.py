"""Networks that learn from targets: classes, or numbers. Families mix one of them in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.network import Network, moments

__all__ = ["NetworkClassifier", "NetworkRegressor"]


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkClassifier(ClassifierMixin, Network):  # type: ignore[misc]
    """A network that gives the probability of each class.

    Args:
        class_weight: weight of each class's rows: a mapping, ``balanced``, or None.
        label_smoothing: share of each row's certainty that is spread over all classes.

    Attributes:
        classes_: the labels, in the order of the probabilities.
    """

    class_weight: Mapping[Any, float] | str | None = None
    label_smoothing: float = 0.0

    _kind = "probabilities"
    _metric_name = "accuracy"

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> Self:
        """Learn to tell the classes apart.

        Args:
            X: features (rows, features), finite numbers.
            y: the label of each row (rows,).
            sample_weight: weight of each row (rows,), not negative.
            groups: of each row; whole groups are held out to stop on.
            times: of each row; the last part of time is held out to stop on.

        Raises:
            InvalidInput: a parameter or the weights cannot be used.
            ValueError: features or labels have a form that no classifier takes.
        """
        features, labels = self._features(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidInput(
                f"a classifier needs at least two classes; y holds one class, {self.classes_[0]!r}"
            )
        weights = _check_sample_weight(sample_weight, features, ensure_non_negative=True)
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, labels)
        targets = np.eye(len(self.classes_), dtype=np.float32)[codes]
        self._fit(features, targets, weights=weights, classes=codes, groups=groups, times=times)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class (rows, classes)."""
        return self._answers(X)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each row (rows,)."""
        best = self._answers(X).argmax(axis=1)
        chosen: NDArray[Any] = self.classes_[best]
        return chosen

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs, targets, reduction="none", label_smoothing=self.label_smoothing
        )

    def _metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == targets.argmax(dim=1)).float().mean()


# The loss of one standardised output, by name.
_DISTANCES: dict[str, Callable[..., Tensor]] = {
    "squared": functional.mse_loss,
    "absolute": functional.l1_loss,
    "huber": functional.huber_loss,
}


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkRegressor(RegressorMixin, Network):  # type: ignore[misc]
    """A network that gives one or several numbers a row.

    Args:
        loss: ``squared``, ``absolute`` or ``huber``, of outputs in standard deviations.
    """

    loss: str = "squared"

    _kind = "values"
    _metric_name = "r2"

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> Self:
        """Learn to give the values.

        Args:
            X: features (rows, features), finite numbers.
            y: the value of each row (rows,), or several (rows, outputs).
            sample_weight: weight of each row (rows,), not negative.
            groups: of each row; whole groups are held out to stop on.
            times: of each row; the last part of time is held out to stop on.

        Raises:
            InvalidInput: a parameter or the weights cannot be used.
            ValueError: features or values have a form that no regressor takes.
        """
        features, values = self._features(X, y, multi_output=True, y_numeric=True)
        if self.loss not in _DISTANCES:
            raise InvalidInput(f"loss {self.loss!r} is unknown; known: {', '.join(_DISTANCES)}")
        weights = _check_sample_weight(sample_weight, features, ensure_non_negative=True)
        self._flat = values.ndim == 1
        targets = np.asarray(values, dtype=np.float32).reshape(len(values), -1)
        self._fit(features, targets, weights=weights, groups=groups, times=times)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the value of each row (rows,), or its values (rows, outputs)."""
        answers = self._answers(X).astype(np.float64)
        return answers[:, 0] if self._flat else answers

    def _target_moments(
        self, targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return moments(targets, (targets.shape[1],), ())

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return _DISTANCES[self.loss](outputs, targets, reduction="none").mean(dim=1)

    def _metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        spread = (targets - targets.mean(dim=0)).square().sum(dim=0).clamp_min(1e-12)
        return (1 - (outputs - targets).square().sum(dim=0) / spread).mean()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
