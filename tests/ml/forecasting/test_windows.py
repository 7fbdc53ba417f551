import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting import calendar_channels, cut_windows, histories

SERIES = np.array([[0, 10], [1, 11], [2, 12], [3, 13], [4, 14]])


def test_every_window_of_two_series_by_hand() -> None:
    windows = cut_windows(SERIES, history=2, horizon=2)
    assert windows.features.tolist() == [[0, 10, 1, 11], [1, 11, 2, 12]]
    assert windows.targets.tolist() == [[2, 12, 3, 13], [3, 13, 4, 14]]
    assert windows.origins.tolist() == [2, 3]


def test_the_calendar_stands_behind_the_series_in_each_step() -> None:
    calendar = np.array([[0.0, 4], [0.25, 4], [0.5, 4], [0.75, 4], [0.0, 5]])
    windows = cut_windows(SERIES, history=2, horizon=3, calendar=calendar)
    assert windows.features.tolist() == [[0, 10, 0, 4, 1, 11, 0.25, 4]]
    assert windows.targets.tolist() == [[2, 12, 3, 13, 4, 14]]


def test_series_shorter_than_a_window_are_refused_with_the_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"4 \+ 2 .* there are 5"):
        cut_windows(SERIES, history=4, horizon=2)


def test_series_without_columns_are_refused() -> None:
    with pytest.raises(InvalidInput, match="newaxis"):
        cut_windows(SERIES[:, 0], history=2, horizon=2)


def test_a_calendar_of_other_moments_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"calendar must be \(5, 2\)"):
        cut_windows(SERIES, history=2, horizon=2, calendar=np.zeros((4, 2)))


def test_before_a_record_began_its_first_step_is_repeated() -> None:
    assert histories(SERIES[:3, 1:], 2).tolist() == [[10, 10], [10, 11], [11, 12]]


def test_a_record_shorter_than_the_history_has_rows_too() -> None:
    assert histories([[7.0]], 3).tolist() == [[7, 7, 7]]


def test_a_history_of_no_steps_is_refused() -> None:
    with pytest.raises(InvalidInput, match="got 0 steps"):
        histories(SERIES, 0)


def test_share_of_the_day_and_weekday_by_hand() -> None:
    # 7 August 2016 was a Sunday.
    moments = ["2016-08-07T06:00", "2016-08-07T18:30", "2016-08-08T00:00"]
    expected = [[0.25, 6], [18.5 / 24, 6], [0, 0]]
    np.testing.assert_allclose(calendar_channels(moments), expected, rtol=1e-6)


def test_weekdays_before_1970_are_counted_back() -> None:
    # 31 December 1969 was a Wednesday.
    assert calendar_channels(np.array(["1969-12-31T12:00"], "datetime64[s]")).tolist() == [[0.5, 2]]


@pytest.mark.parametrize(
    ("moments", "message"), [(["soon"], "datetime64"), (["2020-01-01", "NaT"], "number 1")]
)
def test_what_is_no_moment_is_refused(moments: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        calendar_channels(moments)
