"""Naive Bayes for counts and for categories, on features as the platform makes them.

Both put scikit-learn's own steps in front, learned with the model and exported with it.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import CategoricalNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from lepton_ai.core.errors import InvalidInput

__all__ = ["CategoricalBayes", "MultinomialBayes"]

Matrix = NDArray[np.float64]


class _Bayes(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A naive Bayes behind a step that makes its features."""

    def _pipeline(self) -> Pipeline:
        raise NotImplementedError

    def _weighed(self) -> tuple[str, ...]:
        """Return the names of the steps that take weights."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from features (rows, features) and classes (rows,)."""
        matrix, target = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(target)
        self.pipeline_ = self._pipeline()
        beside = {}
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, matrix, ensure_non_negative=True)
            heard = weights > 0
            if not heard.any():
                raise InvalidInput("sample_weight leaves no row to learn from: all are zero")
            # A row without weight must not widen the range of a step in front either.
            matrix, target, weights = matrix[heard], target[heard], weights[heard]
            beside = {f"{name}__sample_weight": weights for name in self._weighed()}
        self.pipeline_.fit(matrix, target, **beside)
        self.classes_ = self.pipeline_.classes_
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row (rows,)."""
        check_is_fitted(self, "pipeline_")
        classes: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def predict_proba(self, X: Any) -> Matrix:  # noqa: N803
        """Return the probability of each class (rows, classes)."""
        check_is_fitted(self, "pipeline_")
        matrix = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.pipeline_.predict_proba(matrix), dtype=np.float64)


class MultinomialBayes(_Bayes):
    """Multinomial naive Bayes: for counts, shares and indicators of categories.

    Features are brought to the range from 0 to 1 first, for it takes no negative ones.

    Args:
        alpha: smoothing, in counts.
        fit_prior: whether to learn how frequent the classes are; else they are equal.
    """

    def __init__(self, alpha: float = 1.0, *, fit_prior: bool = True) -> None:
        self.alpha = alpha
        self.fit_prior = fit_prior

    def _pipeline(self) -> Pipeline:
        return make_pipeline(MinMaxScaler(clip=True), MultinomialNB(**self.get_params()))

    def _weighed(self) -> tuple[str, ...]:
        return ("multinomialnb",)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # It reads shares of a whole, which points in a plane are not.
        tags.classifier_tags.poor_score = True
        return tags


class CategoricalBayes(_Bayes):
    """Categorical naive Bayes: each feature's values, or bins of them, have shares of their own.

    Args:
        bins: that features are cut into, each of about as many rows; fewer where values repeat.
        alpha: smoothing, in counts.
        fit_prior: whether to learn how frequent the classes are; else they are equal.
    """

    def __init__(self, bins: int = 8, *, alpha: float = 1.0, fit_prior: bool = True) -> None:
        self.bins = bins
        self.alpha = alpha
        self.fit_prior = fit_prior

    def _pipeline(self) -> Pipeline:
        bins = KBinsDiscretizer(
            self.bins,
            encode="ordinal",
            strategy="quantile",
            quantile_method="averaged_inverted_cdf",
            subsample=None,
        )
        bayes = CategoricalNB(alpha=self.alpha, fit_prior=self.fit_prior, min_categories=self.bins)
        return make_pipeline(bins, bayes)

    def _weighed(self) -> tuple[str, ...]:
        return ("kbinsdiscretizer", "categoricalnb")
