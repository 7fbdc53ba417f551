"""A network that forecasts many series at once, several steps ahead.

A convolution over time reads each series' history as it departs from what is usual at that time
of day; layers of a graph then let the series tell each other what is coming. What comes out is
added to the usual values of the steps to come, or to the last value where there is no season.

Rows are laid out as `lepton_ai.ml.forecasting` says.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting.layout import Layout
from lepton_ai.ml.forecasting.profile import KINDS, places, seasonal_profile, seasonal_sums
from lepton_ai.ml.networks.supervised import NetworkRegressor

__all__ = ["GraphForecaster"]

_WEEK = 7
_SATURDAY = 5
# Sides of the learned graph's matrix are products of so many numbers a series.
_RANK = 8
# The profile's chance is wiped out by joining neighbouring steps so often.
_SMOOTHING = 2
# From so many days on, one of them hardly changes the average that it is learned beside; nor may
# the averages of other days take more numbers than this.
_MOST_DAYS = 60
_MOST_NUMBERS = 2**26
# Share of the day (as sine and cosine) and kind of day.
_CLOCK = 3


@dataclass(kw_only=True, eq=False, repr=False)
class GraphForecaster(NetworkRegressor):
    """A temporal convolution with a graph of the series that forecasts all of them together.

    Close to Graph WaveNet (Wu et al., 2019) in its two kinds of graph, a given one and a learned
    one, and to STID (Shao et al., 2022) in telling series apart by an embedding. With `season`
    it learns what is usual, from other days than the one a row lies in where `fit` gets `times`
    as datetime64 (the moment of each row's last step): its own day would give the answer away.

    Args:
        shape: (steps, channels); None means one series without a calendar.
        season: steps of a day, where the last two channels of each step are those of
            `lepton_ai.ml.forecasting.calendar_channels`; None where all are series.
        graph: weights (series, series), not negative, of the way from a series (row) to another
            one (column); None leaves the learned graph alone.
        common_scale: whether all series have one unit, in which a large series' error counts more
            than a small one's; otherwise each counts in its own standard deviations.
        width: of the hidden values of each series.
        depth: layers of the graph.
        channels: of the convolution over time.
        embedding: numbers that tell one series from another.
        dropout: share of hidden values set to zero while learning.
        loss: ``absolute``, ``squared`` or ``huber``.
    """

    season: int | None = None
    graph: NDArray[Any] | None = None
    common_scale: bool = False
    width: int = 64
    depth: int = 2
    channels: int = 16
    embedding: int = 8
    dropout: float = 0.1
    loss: str = "absolute"

    def _fit(
        self, features: NDArray[np.float32], targets: NDArray[np.float32], **given: Any
    ) -> None:
        layout = Layout.of(self.shape, self.season, features.shape[1])
        horizon = layout.horizon(targets.shape[1])
        before = self._before(features.shape[1])
        self._scales = (
            self._own_scales(features, layout)
            if before is None
            else (before.mean.numpy()[: layout.series], before.scale.numpy()[: layout.series])
        )
        self._usual: tuple[NDArray[np.float32], NDArray[np.float32] | None] | None = None
        if layout.season is not None:
            coming = targets.reshape(len(targets), horizon, -1)
            features, self._usual = self._usual_of(features, coming, layout, given.get("times"))
        try:
            super()._fit(features, targets, **given)
        finally:
            del self._scales, self._usual
        for body in self.graph_.members:
            body.register_buffer("others", None, persistent=False)

    def _usual_of(
        self,
        features: NDArray[np.float32],
        coming: NDArray[np.float32],
        layout: Layout,
        times: ArrayLike | None,
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Return features that name each row's day, the standardised profile, and those of others.

        The profile is (places, series); those without one day are (days, places, series).
        """
        season = int(layout.season or 1)
        mean, scale = self._scales

        def profile(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float32]:
            usual = seasonal_profile(sums, counts, season, _SMOOTHING)
            return ((usual - mean) / scale).astype(np.float32)

        calendar = layout.calendar(features)
        ahead = np.arange(1, coming.shape[1] + 1)
        where = places(calendar, ahead, season)
        sums, counts = seasonal_sums(coming, where, season)
        if times is None or not np.issubdtype(np.asarray(times).dtype, np.datetime64):
            return features, (profile(sums, counts), None)
        day = np.asarray(times).astype("datetime64[D]").astype(np.int64)
        day = day - day.min()
        slot = np.rint(calendar[:, :1] * season).astype(np.int64) + ahead
        day_ahead = day[:, np.newaxis] + slot // season
        days = int(day_ahead.max()) + 1
        if days > _MOST_DAYS or days * sums.size > _MOST_NUMBERS:
            return features, (profile(sums, counts), None)
        others = []
        for number in range(days):
            rows = (day_ahead == number).any(axis=1)
            # Steps of those rows that lie in another day go to a place behind the last one.
            own = np.where(day_ahead[rows] == number, where[rows], KINDS * season)
            own_sums, own_counts = seasonal_sums(coming[rows], own, season + 1)
            kept = KINDS * season
            others.append(profile(sums - own_sums[:kept], counts - own_counts[:kept]))
        # The weekday's channel carries the day's number while learning; `_Forecaster` reads it off.
        named = features.reshape(len(features), layout.steps, -1).copy()
        named[:, :, -1] += _WEEK * (day[:, np.newaxis] + 1)
        return named.reshape(len(named), -1), (profile(sums, counts), np.stack(others))

    def _own_scales(
        self, features: NDArray[np.float32], layout: Layout
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale of each series (series,)."""
        history = layout.history(features).astype(np.float64)
        mean, scale = history.mean(axis=(0, 1)), history.std(axis=(0, 1))
        scale[scale <= 1e-7 * np.maximum(1.0, np.abs(mean))] = 1.0
        if self.common_scale:
            scale[:] = scale.mean()
        return mean.astype(np.float32), scale.astype(np.float32)

    def _moments(
        self, rows: NDArray[np.float32], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        layout = Layout.of(self.shape, self.season, rows.shape[1])
        beside = rows.shape[1] // layout.steps - layout.series
        mean, scale = self._scales
        return (
            np.tile(np.append(mean, np.zeros(beside, np.float32)), layout.steps),
            np.tile(np.append(scale, np.ones(beside, np.float32)), layout.steps),
        )

    def _target_moments(
        self, targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        mean, scale = self._scales
        horizon = targets.shape[1] // len(mean)
        return np.tile(mean, horizon), np.tile(scale, horizon)

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        layout = Layout.of(self.shape, self.season, int(np.prod(shape)))
        body = _Forecaster(
            layout,
            layout.horizon(outputs),
            None if self.graph is None else self._graph(layout.series),
            width=self.width,
            depth=self.depth,
            channels=self.channels,
            embedding=self.embedding,
            dropout=self.dropout,
        )
        usual = getattr(self, "_usual", None)
        if usual is not None:
            body.profile.copy_(torch.from_numpy(usual[0]))
            body.others = None if usual[1] is None else torch.from_numpy(usual[1])
        return body

    def _graph(self, series: int) -> Tensor:
        weights = np.asarray(self.graph, dtype=np.float32)
        if weights.shape != (series, series) or not np.isfinite(weights).all() or weights.min() < 0:
            raise InvalidInput(
                f"graph must be ({series}, {series}) weights, finite and not negative, one row and "
                f"column a series; got shape {weights.shape}"
            )
        return torch.from_numpy(weights)

    def _check(self) -> None:
        super()._check()
        for name in ("width", "depth", "channels", "embedding"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be 1 or more; got {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"dropout must be from 0 to below 1; got {self.dropout!r}")


class _Forecaster(nn.Module):
    """Standardised history (rows, steps, channels) -> standardised forecasts, laid out flat."""

    profile: Tensor
    # While learning, the profile without each day.
    others: Tensor | None

    def __init__(
        self,
        layout: Layout,
        horizon: int,
        graph: Tensor | None,
        *,
        width: int,
        depth: int,
        channels: int,
        embedding: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.horizon = horizon
        season = layout.season
        clock = 0 if season is None else _CLOCK
        self.register_buffer("profile", torch.zeros(KINDS * (season or 0), layout.series))
        self.register_buffer("others", None, persistent=False)
        self.time = nn.Sequential(
            nn.Conv1d(2, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1, stride=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1, stride=2),
            nn.GELU(),
            nn.Flatten(),
        )
        self.names = nn.Parameter(torch.randn(layout.series, embedding) * 0.1)
        convolved = channels * -(-layout.steps // 4)
        self.join = nn.Linear(convolved + 2 * layout.steps + horizon + embedding + clock, width)
        self.graph = _Graph(layout.series, graph)
        self.layers = nn.ModuleList(
            [_GraphLayer(width, self.graph.ways, dropout) for _ in range(depth)]
        )
        self.head = nn.Linear(width, horizon)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, horizon * series) of history (rows, \\*shape)."""
        rows, series = inputs.shape[0], self.layout.series
        folded = inputs.view(rows, self.layout.steps, -1)
        history = folded[:, :, :series]
        usual, clock = self._usual(history, folded[:, -1, series:])
        expected, coming = usual[:, : self.layout.steps], usual[:, self.layout.steps :]
        # From here on one line a series: (rows, series, ...).
        departure, expected, coming = (
            part.transpose(1, 2) for part in (history - expected, expected, coming)
        )
        both = torch.stack([departure, expected], dim=2).reshape(rows * series, 2, -1)
        parts = [
            self.time(both).view(rows, series, -1),
            departure,
            expected,
            coming,
            self.names.expand(rows, -1, -1),
            clock.unsqueeze(1).expand(-1, series, -1),
        ]
        hidden = self.join(torch.cat(parts, dim=2))
        ways = self.graph()
        for layer in self.layers:
            hidden = layer(hidden, ways)
        forecast = coming + self.head(hidden)
        flat: Tensor = forecast.transpose(1, 2).reshape(rows, self.horizon * series)
        return flat

    def _usual(self, history: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is usual in history and horizon (rows, steps + horizon, series), and clock.

        Without a season it is the last value.
        """
        season = self.layout.season
        if season is None:
            last = history[:, -1:].expand(-1, self.layout.steps + self.horizon, -1)
            return last, history[:, 0, :0]
        steps = torch.arange(1 - self.layout.steps, self.horizon + 1, device=history.device)
        day = calendar[:, 1].round().to(torch.int64)
        slot = (calendar[:, :1] * season).round().to(torch.int64) + steps
        passed = torch.div(slot, season, rounding_mode="floor")
        weekend = (torch.remainder(day.unsqueeze(1) + passed, _WEEK) >= _SATURDAY).to(torch.int64)
        where = weekend * season + torch.remainder(slot, season)
        angle = 2 * torch.pi * calendar[:, :1]
        # The kind of day of the first step to come.
        kind = weekend[:, self.layout.steps :][:, :1].to(history.dtype)
        clock = torch.cat([angle.sin(), angle.cos(), kind], dim=1)
        if self.others is None:
            return self.profile[where], clock
        number = (day // _WEEK - 1).unsqueeze(1) + passed
        return self.others[number.clamp(0, len(self.others) - 1), where], clock


class _Graph(nn.Module):
    """Matrices (series, series) whose rows add up to one, or to zero where nothing leads."""

    given: Tensor

    def __init__(self, series: int, weights: Tensor | None) -> None:
        super().__init__()
        given = torch.zeros(0, series, series)
        if weights is not None:
            both = torch.stack([weights, weights.T])
            given = both / both.sum(dim=2, keepdim=True).clamp_min(1e-12)
        self.register_buffer("given", given)
        self.sources = nn.Parameter(torch.randn(series, _RANK))
        self.sinks = nn.Parameter(torch.randn(series, _RANK))
        self.ways = len(given) + 1

    def forward(self) -> list[Tensor]:
        """Return the given ways and the learned one."""
        learned = torch.softmax(functional.relu(self.sources @ self.sinks.T), dim=1)
        return [*self.given, learned]


class _GraphLayer(nn.Module):
    """Hidden values of a series and of its neighbours by each way, added to what came in."""

    def __init__(self, width: int, ways: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear((1 + ways) * width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, hidden: Tensor, ways: list[Tensor]) -> Tensor:
        """Return hidden values of the same shape (rows, series, width)."""
        own = self.norm(hidden)
        gathered = torch.cat([own, *[way @ own for way in ways]], dim=2)
        narrowed: Tensor = self.narrow(self.dropout(functional.gelu(self.widen(gathered))))
        return hidden + narrowed
