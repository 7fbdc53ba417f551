"""Periods: after how many steps a series comes again."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["periods_of"]

_MOST = 3  # periods that are reported
_STRONG = 0.2  # autocorrelation from which a period is believed
_LITTLE = 0.02


def periods_of(values: NDArray[np.float64]) -> list[tuple[int, float, float]]:
    """Return length, autocorrelation and share of the spread of each period, strongest first.

    The straight trend is taken away. Waves that have much of the spread (the periodogram's peaks)
    are candidates; the autocorrelation near each says whether it is real, and that of its multiples
    its exact length: over ten periods, one step too many in each is ten. Multiples of a period that
    is as strong itself are left out. A period is found only when the series holds three of it.
    """
    size = values.size
    if size < 12:
        return []
    steps = np.arange(size)
    level = values - np.polyval(np.polyfit(steps, values, 1), steps)
    if not np.ptp(level) > 1e-12 * max(1.0, float(np.abs(values).max())):
        return []
    power = np.abs(np.fft.rfft(level * np.hanning(size))) ** 2
    power[0] = 0
    share = power / power.sum()
    lags = np.arange(size)
    # Far lags have fewer pairs, which makes their correlation too small.
    correlation = np.clip(_acf(level) * size / (size - lags), -1.0, 1.0)
    chance = max(_LITTLE, 2 / np.sqrt(size))  # by which two correlations differ though they are one
    found: dict[int, tuple[float, float]] = {}
    for frequency in np.argsort(-share)[:40]:
        if frequency < 3 or share[frequency] < 0.005:  # fewer than three periods are no rhythm
            continue
        near = size / frequency
        # Between two frequencies lie this many steps.
        reach = max(1, round(near**2 / size / 2) + 1)
        low, high = max(2, round(near) - reach), min(size // 3, round(near) + reach)
        if high < low:
            continue
        length = low + int(correlation[low : high + 1].argmax())
        peak = correlation[max(0, length - 1)] <= correlation[length] >= correlation[length + 1]
        deep = correlation[length] - correlation[length // 2] > chance
        # Of the lags of a short series of noise, one goes that far.
        strong = max(_STRONG, 3 / np.sqrt(size - length))
        if correlation[length] < strong or not (peak and deep):
            continue
        around = slice(max(0, frequency - 1), frequency + 2)
        exact = max(range(low, high + 1), key=lambda lag: _repeated(correlation, lag))
        found[exact] = (float(correlation[length]), float(share[around].sum()))
    kept: list[tuple[int, float, float]] = []
    for length, (strength, part) in sorted(found.items(), key=lambda item: -item[1][1]):
        rivals = [other for other in kept if _near(length, other[0])]
        if any(rival[1] >= strength for rival in rivals):
            continue
        kept = [other for other in kept if other not in rivals]
        if not any(_follows(length, strength - chance, other) for other in kept):
            kept.append((length, strength, part))
    return kept[:_MOST]


def _repeated(correlation: NDArray[np.float64], lag: int) -> float:
    """Return the mean correlation at the multiples of a lag, up to half the series."""
    return float(correlation[lag : max(lag + 1, correlation.size // 2) : lag].mean())


def _near(length: int, other: int) -> bool:
    """Say whether two lengths may be the same period, seen by neighbouring frequencies."""
    return max(length, other) < 1.3 * min(length, other)


def _follows(length: int, strength: float, other: tuple[int, float, float]) -> bool:
    """Say whether a length is one only because another one is.

    Whatever repeats each day repeats each second and third day, so a multiple counts only when it
    repeats better; and of what a day holds, halves to quarters are but its form.
    """
    ratio = max(length, other[0]) / min(length, other[0])
    if abs(ratio - round(ratio)) > 0.06:
        return False
    return strength < other[1] if length > other[0] else round(ratio) <= 4


def _acf(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    centred = centred / np.abs(centred).max()
    transformed = np.fft.rfft(centred, 2 * values.size)
    products = np.fft.irfft(np.abs(transformed) ** 2)[: values.size]
    result: NDArray[np.float64] = products / products[0]
    return result
