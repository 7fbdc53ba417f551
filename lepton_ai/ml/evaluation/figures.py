"""The figures of an evaluation, as data: parts that the evaluations of the tasks hold."""

from msgspec import Struct

__all__ = [
    "Bin",
    "CalibrationBin",
    "CalibrationCurve",
    "ClassFigures",
    "ClusterFigures",
    "Curve",
    "DecisionCurve",
    "Difference",
    "Gain",
    "Histogram",
    "OutputFigures",
    "PrecisionRecall",
    "ScatterGrid",
    "Slice",
    "Slices",
    "Spread",
    "StepFigures",
]

Ends = tuple[float, float]


class ClassFigures(Struct, frozen=True):
    """How well one class was told from the rest.

    Attributes:
        label: the class.
        support: rows that are of it.
        auc: area under the ROC curve, None where no row, or each row, is of the class.
        intervals: bootstrap interval of each figure.
    """

    label: str
    support: int
    precision: float
    recall: float
    f1: float
    auc: float | None
    intervals: dict[str, Ends] = {}


class Curve(Struct, frozen=True):
    """A ROC curve of one class: rates from (0, 0) to (1, 1), at most 400 points."""

    label: str
    false_positive_rate: list[float]
    true_positive_rate: list[float]


class PrecisionRecall(Struct, frozen=True):
    """A precision-recall curve of one class, the highest scores first, at most 400 points.

    Attributes:
        share: rows of the class among all: the precision of chance.
    """

    label: str
    recall: list[float]
    precision: list[float]
    share: float


class Gain(Struct, frozen=True):
    """What is found of one class when the rows of the highest scores are taken first."""

    label: str
    taken: list[float]
    found: list[float]


class Bin(Struct, frozen=True):
    """Rows of similar confidence: how many, the mean of it, and how many of them were right."""

    rows: int
    confidence: float
    accuracy: float


class CalibrationBin(Struct, frozen=True):
    """Rows of similar probability: the mean of it, and the share that is of the class."""

    rows: int
    predicted: float
    observed: float
    interval: Ends


class CalibrationCurve(Struct, frozen=True):
    """Predicted against observed shares of one class, in bins of as many rows."""

    label: str
    bins: list[CalibrationBin]


class DecisionCurve(Struct, frozen=True):
    """The net benefit of acting on the model, at each threshold of the probability.

    True positives less false ones, in rows of the whole, a false one weighed by the odds of the
    threshold; acting on no row has 0 (Vickers and Elkin, 2006).

    Attributes:
        label: the class that is acted on.
        low: the lower ends of the interval.
        high: the upper ends.
        treat_all: the net benefit of acting on every row.
    """

    label: str
    thresholds: list[float]
    net_benefit: list[float]
    low: list[float]
    high: list[float]
    treat_all: list[float]


class OutputFigures(Struct, frozen=True):
    """The figures of one output of a regression that has several."""

    output: str
    figures: dict[str, float | None]
    intervals: dict[str, Ends]


class StepFigures(Struct, frozen=True):
    """The figures of one step of the horizon, from 1.

    Attributes:
        naive_mae: mean absolute error of the seasonal-naive forecast of the same values.
    """

    step: int
    mae: float | None
    rmse: float | None
    mape: float | None
    intervals: dict[str, Ends]
    naive_mae: float | None = None


class ClusterFigures(Struct, frozen=True):
    """One cluster: how many rows, and the silhouettes of those that were looked at.

    Attributes:
        silhouette: mean, None where it is undefined.
        quantiles: of the rows' silhouettes, at 0, 5, ..., 100 %.
    """

    label: str
    rows: int
    silhouette: float | None
    quantiles: list[float]


class Histogram(Struct, frozen=True):
    """How often values lie between the edges; each count has an edge on either side."""

    edges: list[float]
    counts: dict[str, list[int]]


class ScatterGrid(Struct, frozen=True):
    """How many rows have such a prediction and such a truth: counts[truth][prediction].

    Rows themselves are not kept: an evaluation outlives the data that it was made on.
    """

    edges: list[float]
    counts: list[list[int]]


class Spread(Struct, frozen=True):
    """Residuals, truth less prediction, of rows with similar predictions.

    Attributes:
        predicted: mean prediction.
        quantiles: of the residuals, at 5, 25, 50, 75 and 95 %.
    """

    rows: int
    predicted: float
    quantiles: list[float]


class Slice(Struct, frozen=True):
    """The figures of the rows that share a value of a column."""

    value: str
    rows: int
    figures: dict[str, float | None]
    intervals: dict[str, Ends]


class Difference(Struct, frozen=True):
    """How far the two slices that are furthest apart in a figure lie from each other.

    Attributes:
        name: what it is, such as ``demographic parity`` of the figure ``selection_rate``.
        figure: which figure differs.
        highest: the slice with the highest value.
        lowest: the slice with the lowest.
        value: the difference of the two.
        interval: of the difference of these two; it may cross 0.
    """

    name: str
    figure: str
    highest: str
    lowest: str
    value: float
    interval: Ends | None


class Slices(Struct, frozen=True):
    """The slices of one column, the largest first.

    Attributes:
        column: which.
        slices: one for each value.
        differences: of each figure between slices; for two classes also the names of fairness.
        worst: the slice in which the evaluation's chief figure is worst.
    """

    column: str
    slices: list[Slice]
    differences: list[Difference]
    worst: str | None
