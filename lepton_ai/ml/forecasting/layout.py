"""How a row of history is laid out: steps, series, calendar; a leaf."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting.calendar import CALENDAR_CHANNELS

__all__ = ["Layout"]

Rows = NDArray[np.float32] | NDArray[np.float64]


class Layout(NamedTuple):
    """What a row of features holds.

    Attributes:
        steps: of history.
        series: that are forecast.
        season: steps of a day, where calendar channels follow the series in each step.
    """

    steps: int
    series: int
    season: int | None

    @classmethod
    def of(cls, shape: tuple[int, ...] | None, season: int | None, features: int) -> Self:
        """Read the layout off an estimator's parameters.

        Args:
            shape: (steps, channels); None means one series without a calendar.
            season: steps of a day, or None where no calendar channels are given.
            features: of a row.

        Raises:
            InvalidInput: the parameters and the number of features don't fit.
        """
        steps, channels = (features, 1) if shape is None else (*shape, 1)[:2]
        beside = 0 if season is None else CALENDAR_CHANNELS
        if steps * channels != features or channels <= beside or len(shape or ()) > 2:
            raise InvalidInput(
                f"shape {shape} does not fold rows of {features} features into steps and channels"
                + (f", of which the last {beside} are the calendar's" if beside else "")
                + "; give shape=(steps, channels)"
            )
        if season is not None and season < 1:
            raise InvalidInput(f"season must be steps of a day, 1 or more; got {season}")
        return cls(int(steps), int(channels) - beside, season)

    def history(self, rows: Rows) -> Rows:
        """Return the series (rows, steps, series) of features (rows, features)."""
        return self._folded(rows)[:, :, : self.series]

    def calendar(self, rows: Rows) -> Rows:
        """Return share of the day and weekday (rows, 2) of each row's last step."""
        return self._folded(rows)[:, -1, self.series :]

    def horizon(self, outputs: int) -> int:
        """Return how many steps ahead targets of so many numbers reach.

        Raises:
            InvalidInput: they are no whole number of steps.
        """
        if outputs % self.series:
            raise InvalidInput(
                f"a row of targets holds {outputs} numbers, no whole number of steps of "
                f"{self.series} series; lay it out as (horizon, series)"
            )
        return outputs // self.series

    def _folded(self, rows: Rows) -> Rows:
        return rows.reshape(len(rows), self.steps, -1)
