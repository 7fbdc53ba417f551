"""Forecasts that any other must beat, as scikit-learn estimators.

Rows are laid out as the package says. ``shape=None`` means one series without a calendar.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.validation import check_is_fitted, validate_data

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting.layout import Layout
from lepton_ai.ml.forecasting.onnx import ridge_graph
from lepton_ai.ml.forecasting.profile import places, seasonal_profile, seasonal_sums

__all__ = ["HistoricalAverage", "Persistence", "RidgeForecaster", "SeasonalNaive"]

Matrix = NDArray[np.float64]


class _Forecaster(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A forecaster; a method writes `_learn` and `_forecast`.

    Attributes:
        layout_: of a row of features.
        horizon_: steps that a forecast gives.
    """

    shape: tuple[int, ...] | None
    season: int | None = None

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learn from windows.

        Args:
            X: history (rows, steps * channels), finite numbers.
            y: what followed (rows, horizon * series), or (rows,) for one step of one series.

        Raises:
            InvalidInput: shape or season don't fit the rows.
            ValueError: features or targets have a form that no regressor takes.
        """
        features, targets = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True
        )
        self.layout_ = Layout.of(self.shape, self.season, features.shape[1])
        self._flat = targets.ndim == 1
        coming = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
        self.horizon_ = self.layout_.horizon(coming.shape[1])
        self._learn(features, coming.reshape(len(coming), self.horizon_, -1))
        return self

    def predict(self, X: Any) -> Matrix:  # noqa: N803
        """Return what follows each history (rows, horizon * series), flat as in `fit`."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        forecast = np.asarray(self._forecast(features), dtype=np.float64)
        return forecast[:, 0, 0] if self._flat else forecast.reshape(len(forecast), -1)

    def _learn(self, features: Matrix, coming: Matrix) -> None:
        """Learn from features (rows, features) and what followed (rows, horizon, series)."""

    def _forecast(self, features: Matrix) -> Matrix:
        """Return (rows, horizon, series)."""
        raise NotImplementedError

    def _ahead(self) -> NDArray[np.int64]:
        return np.arange(1, self.horizon_ + 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # Columns of a table are no history: what follows is not to be told from them.
        tags.regressor_tags.poor_score = True
        return tags


class Persistence(_Forecaster):
    """Every step to come is as the last one was.

    Args:
        shape: (steps, channels).
        season: steps of a day, where each step has calendar channels.
    """

    def __init__(self, *, shape: tuple[int, ...] | None = None, season: int | None = None) -> None:
        self.shape = shape
        self.season = season

    def _forecast(self, features: Matrix) -> Matrix:
        return np.asarray(np.repeat(self.layout_.history(features)[:, -1:], self.horizon_, axis=1))


class SeasonalNaive(_Forecaster):
    """Every step to come is as the one a cycle before it was.

    Args:
        shape: (steps, channels).
        season: steps of a day, where each step has calendar channels.
        cycle: steps after which the series repeat themselves; at most those of the history.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...] | None = None,
        season: int | None = None,
        cycle: int = 1,
    ) -> None:
        self.shape = shape
        self.season = season
        self.cycle = cycle

    def _learn(self, features: Matrix, coming: Matrix) -> None:
        if not 1 <= self.cycle <= self.layout_.steps:
            raise InvalidInput(
                f"a cycle of {self.cycle} steps is not seen in a history of "
                f"{self.layout_.steps}; cut longer windows or take a HistoricalAverage"
            )

    def _forecast(self, features: Matrix) -> Matrix:
        last = self.layout_.history(features)[:, -self.cycle :]
        return np.asarray(last[:, (self._ahead() - 1) % self.cycle])


class HistoricalAverage(_Forecaster):
    """Every step to come is as its time of day usually is, on workdays and on weekends.

    Without a season it is the average of all that followed.

    Args:
        shape: (steps, channels).
        season: steps of a day, where each step has calendar channels.

    Attributes:
        profile_: average of each place (2 * season, series), or (1, series) without a season.
    """

    def __init__(self, *, shape: tuple[int, ...] | None = None, season: int | None = None) -> None:
        self.shape = shape
        self.season = season

    def _learn(self, features: Matrix, coming: Matrix) -> None:
        if self.season is None:
            self.profile_ = coming.mean(axis=(0, 1))[np.newaxis]
            return
        sums, counts = seasonal_sums(coming, self._places(features, self._ahead()), self.season)
        self.profile_ = seasonal_profile(sums, counts, self.season)

    def _forecast(self, features: Matrix) -> Matrix:
        return np.asarray(self.profile_[self._places(features, self._ahead())])

    def _places(self, features: Matrix, ahead: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.season is None:
            return np.zeros((len(features), len(ahead)), dtype=np.int64)
        return places(self.layout_.calendar(features), ahead, self.season)


class RidgeForecaster(HistoricalAverage):
    """A linear model of the last steps, of what they usually are, and of what usually follows.

    One model a step ahead, shared by all series: its inputs are one series' history and, with a
    season, its historical average at these steps and at the one to come.

    Args:
        shape: (steps, channels).
        season: steps of a day, where each step has calendar channels.
        alpha: strength of the ridge penalty, on inputs in standard deviations.

    Attributes:
        profile_: average of each place (2 * season, series), or (1, series) without a season.
        coefficients_: (horizon, 2 * steps + 1).
        intercepts_: (horizon,).
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...] | None = None,
        season: int | None = None,
        alpha: float = 1.0,
    ) -> None:
        super().__init__(shape=shape, season=season)
        self.alpha = alpha

    def _learn(self, features: Matrix, coming: Matrix) -> None:
        super()._learn(features, coming)
        past, usual = self._inputs(features)
        fitted = []
        for step in range(self.horizon_):
            inputs = np.concatenate([past, usual[:, step : step + 1]], axis=1)
            scale = inputs.std(axis=0)
            scale[scale == 0] = 1.0
            model = Ridge(alpha=self.alpha).fit(inputs / scale, coming[:, step].reshape(-1))
            fitted.append((model.coef_ / scale, model.intercept_))
        self.coefficients_ = np.stack([coefficients for coefficients, _ in fitted])
        self.intercepts_ = np.array([intercept for _, intercept in fitted])

    def _forecast(self, features: Matrix) -> Matrix:
        past, usual = self._inputs(features)
        forecast = past @ self.coefficients_[:, :-1].T + usual * self.coefficients_[:, -1]
        of_series: Matrix = forecast + self.intercepts_
        return of_series.reshape(len(features), -1, self.horizon_).swapaxes(1, 2)

    def to_onnx(self) -> bytes:
        """Return the fitted forecast as ONNX: ``X`` in, ``values`` out."""
        check_is_fitted(self)
        return ridge_graph(
            self.layout_, self.horizon_, self.profile_, self.coefficients_, self.intercepts_
        )

    def _inputs(self, features: Matrix) -> tuple[Matrix, Matrix]:
        """Return what each series was and usually was, and what usually follows.

        They are (rows * series, 2 * steps) and (rows * series, horizon).
        """
        steps = self.layout_.steps
        usual = self.profile_[self._places(features, np.arange(1 - steps, self.horizon_ + 1))]
        was = np.asarray(self.layout_.history(features)).swapaxes(1, 2).reshape(-1, steps)
        usually = usual.swapaxes(1, 2).reshape(len(was), -1)
        past: Matrix = np.concatenate([was, usually[:, :steps]], axis=1)
        return past, usually[:, steps:]
