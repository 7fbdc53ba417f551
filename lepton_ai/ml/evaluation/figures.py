"""The figures of an evaluation, as data: what it measured, on what."""

from msgspec import Struct

__all__ = ["Bin", "ClassFigures", "Curve", "Figures"]


class ClassFigures(Struct, frozen=True):
    """How well one class was told from the rest.

    Attributes:
        label: the class.
        support: rows that are of it.
        auc: area under the ROC curve, None where no row, or each row, is of the class.
    """

    label: str
    support: int
    precision: float
    recall: float
    f1: float
    auc: float | None


class Curve(Struct, frozen=True):
    """A ROC curve of one class: rates from (0, 0) to (1, 1), at most 400 points."""

    label: str
    false_positive_rate: list[float]
    true_positive_rate: list[float]


class Bin(Struct, frozen=True):
    """Rows of similar confidence: how many, the mean of it, and how many of them were right."""

    rows: int
    confidence: float
    accuracy: float


class Figures(Struct, frozen=True, kw_only=True, eq=False):
    """What one evaluation measured; shares from 0 to 1, ``log_loss`` in nats.

    The attributes are described where people meet them, in `Evaluation`.
    """

    model: str = ""
    data: str = ""
    rows: int
    groups: int | None
    classes: tuple[str, ...]
    positive: str | None
    accuracy: float
    balanced_accuracy: float
    precision: float
    recall: float
    f1: float
    auc: float | None
    log_loss: float
    calibration_error: float
    confidence: float
    intervals: dict[str, tuple[float, float]]
    confusion: list[list[int]]
    per_class: list[ClassFigures]
    roc: list[Curve]
    reliability: list[Bin]
    seen: int = 0
    node: str | None = None
