"""Terms: the mathematics of models whose answers are sums over features.

What a fitted estimator learned is read once, when the model is registered, and kept as numbers.
"""

from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.data.encoders import Array

__all__ = ["Binned", "Counted", "Gaussian", "Linear", "Terms", "terms_of"]

Matrix = NDArray[np.float64]


class Linear(Struct, frozen=True, tag="linear"):
    """Scores that are weighted sums of features.

    Attributes:
        link: what makes answers of scores: nothing, the logistic function of one score (that of
            the second class), or the softmax of one for each class.
        coefficients: (scores, features).
        intercepts: (scores,).
    """

    link: Literal["identity", "logit", "softmax"]
    coefficients: Array
    intercepts: Array

    def parts(self, features: Matrix, mean: Matrix) -> tuple[Matrix, Matrix]:
        """Return scores at the mean (scores,), and coefficient times deviation from it.

        Args:
            features: (rows, features).
            mean: of the training rows (features,).

        Returns:
            (scores,) and (rows, scores, features).
        """
        weights = self.coefficients.values
        return weights @ mean + self.intercepts.values, (features - mean)[:, None, :] * weights


class Gaussian(Struct, frozen=True, tag="gaussian bayes"):
    """Naive Bayes with a normal density for each feature and class.

    Attributes:
        priors: logarithms (classes,).
        means: (classes, features).
        variances: (classes, features).
    """

    priors: Array
    means: Array
    variances: Array

    def likelihoods(self, features: Matrix) -> Matrix:
        """Return the log-density of each feature in each class (rows, classes, features)."""
        variances = self.variances.values
        squares = (features[:, None, :] - self.means.values) ** 2 / variances
        densities: Matrix = -0.5 * (np.log(2 * np.pi * variances) + squares)
        return densities


class Counted(Struct, frozen=True, tag="multinomial bayes"):
    """Multinomial naive Bayes: each feature, brought to 0 to 1, counts its class's log-share.

    Attributes:
        priors: logarithms (classes,).
        shares: logarithms (classes, features).
        scale: (features,), what features are multiplied by first.
        shift: (features,), what is then added.
    """

    priors: Array
    shares: Array
    scale: Array
    shift: Array

    def likelihoods(self, features: Matrix) -> Matrix:
        """Return count times log-share (rows, classes, features)."""
        counts = np.clip(features * self.scale.values + self.shift.values, 0, 1)
        weighed: Matrix = counts[:, None, :] * self.shares.values
        return weighed


class Binned(Struct, frozen=True, tag="categorical bayes"):
    """Categorical naive Bayes: each bin of a feature has a share in each class.

    Attributes:
        priors: logarithms (classes,).
        edges: of each feature, where its bins meet, ascending, ends left out.
        shares: of each feature, logarithms (classes, bins).
    """

    priors: Array
    edges: tuple[Array, ...]
    shares: tuple[Array, ...]

    def likelihoods(self, features: Matrix) -> Matrix:
        """Return the log-share of each feature's bin (rows, classes, features)."""
        found = [
            shares.values[:, np.searchsorted(edges.values, column, side="right")].T
            for edges, shares, column in zip(self.edges, self.shares, features.T, strict=True)
        ]
        return np.stack(found, axis=2)


Terms = Linear | Gaussian | Counted | Binned


def terms_of(model_type: str, estimator: Any) -> Terms | None:
    """Return the mathematics of a fitted estimator, or None where it is no sum.

    Args:
        model_type: the zoo's name of it.
        estimator: fitted.
    """
    read = _READERS.get(model_type)
    return None if read is None else read(estimator)


def _linear(estimator: Any) -> Linear:
    weights = np.atleast_2d(estimator.coef_)
    offset = np.broadcast_to(np.ravel(estimator.intercept_), len(weights))
    classes = len(getattr(estimator, "classes_", ()))
    return Linear(
        "identity" if not classes else "logit" if classes == 2 else "softmax",
        Array.of(weights),
        Array.of(offset),
    )


def _linear_svm(estimator: Any) -> Linear | None:
    if not hasattr(estimator, "calibrated_classifiers_"):
        return _linear(estimator)
    (calibrated,) = estimator.calibrated_classifiers_
    # The calibrated scores of three classes and more are divided by their sum: no sum of terms.
    if len(estimator.classes_) > 2:
        return None
    (curve,) = calibrated.calibrators
    margin = calibrated.estimator
    return Linear(
        "logit",
        Array.of(-curve.a_ * np.atleast_2d(margin.coef_)),
        Array.of(-curve.a_ * np.ravel(margin.intercept_) - curve.b_),
    )


def _gaussian(estimator: Any) -> Gaussian:
    arrays = np.log(estimator.class_prior_), estimator.theta_, estimator.var_
    return Gaussian(*map(Array.of, arrays))


def _counted(estimator: Any) -> Counted:
    scaler, bayes = (step for _, step in estimator.pipeline_.steps)
    arrays = bayes.class_log_prior_, bayes.feature_log_prob_, scaler.scale_, scaler.min_
    return Counted(*map(Array.of, arrays))


def _binned(estimator: Any) -> Binned:
    bins, bayes = (step for _, step in estimator.pipeline_.steps)
    return Binned(
        Array.of(bayes.class_log_prior_),
        tuple(Array.of(edges[1:-1]) for edges in bins.bin_edges_),
        tuple(map(Array.of, bayes.feature_log_prob_)),
    )


_READERS: dict[str, Any] = {
    "linear regression": _linear,
    "ridge": _linear,
    "lasso": _linear,
    "logistic regression": _linear,
    "linear svm": _linear_svm,
    "naive bayes": _gaussian,
    "multinomial naive bayes": _counted,
    "categorical naive bayes": _binned,
}
