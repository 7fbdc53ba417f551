"""Anomalies as rows that an autoencoder cannot rebuild."""

from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.network import Network

__all__ = ["Autoencoder"]


@dataclass(kw_only=True, eq=False, repr=False)
class Autoencoder(OutlierMixin, Network):  # type: ignore[misc]
    """A network that rebuilds each row through a narrow code; what it rebuilds badly is strange.

    The served score of a row is its reconstruction error: the mean square of what was rebuilt
    minus what came in, over features in standard deviations. `score_samples` is its negative, as
    scikit-learn has it (lower is stranger).

    Args:
        width: of the layers before and after the code.
        code: numbers that a row is squeezed into; None takes a third of the features, at least
            one and at most 32.
        contamination: share of the training rows that `predict` calls anomalies.

    Attributes:
        offset_: scores below it are anomalies.
    """

    width: int = 64
    code: int | None = None
    contamination: float = 0.1

    _kind = "scores"
    _metric_name = "error"

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> Self:
        """Learn to rebuild the rows.

        Args:
            X: features (rows, features), finite numbers.
            y: not used.
            sample_weight: weight of each row (rows,), not negative.
            groups: of each row; whole groups are held out to stop on.
            times: of each row; the last part of time is held out to stop on.

        Raises:
            InvalidInput: a parameter or the weights cannot be used.
        """
        features = self._features(X, ensure_min_samples=2)
        weights = _check_sample_weight(sample_weight, features, ensure_non_negative=True)
        self._fit(features, features, weights=weights, groups=groups, times=times)
        errors = self._answers(features)[:, 0].astype(np.float64)
        self.offset_ = float(-np.quantile(errors, 1 - self.contamination))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the negative reconstruction error of each row (rows,): lower is stranger."""
        return -self._answers(X)[:, 0].astype(np.float64)

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the scores above `offset_` (rows,): negative is an anomaly."""
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """Return -1 for an anomaly and 1 for any other row (rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        features = prod(shape)
        code = self.code or min(32, max(1, features // 3))
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, self.width),
            nn.ReLU(),
            nn.Linear(self.width, code),
            nn.Linear(code, self.width),
            nn.ReLU(),
            nn.Linear(self.width, outputs),
        )

    def _check(self) -> None:
        super()._check()
        if self.width < 1 or (self.code is not None and self.code < 1):
            raise InvalidInput(f"width and code must be 1 or more; got {self.width}, {self.code}")
        if not 0 < self.contamination <= 0.5:
            raise InvalidInput(
                f"contamination must be above 0 and at most 0.5; got {self.contamination!r}"
            )

    def _target_moments(
        self, targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shape = self._folded(targets.shape[1])
        return self._moments(targets, shape)

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.mse_loss(outputs, targets, reduction="none").mean(dim=1)

    def _metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._losses(outputs, targets).median()
