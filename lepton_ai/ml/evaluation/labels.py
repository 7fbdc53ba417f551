"""Labels: which class each row is of, and which of two is looked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.metrics import winners

__all__ = ["anomalies_of", "called_as", "codes_of", "positive_of"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# Of two classes, the one with such a name is the absence of what is looked for.
_ABSENT = {
    "0", "0.0", "-1", "false", "no", "n", "none", "absent", "benign", "control", "good",
    "healthy", "negative", "normal", "ok", "pass", "passed",
}  # fmt: skip


def codes_of(truth: Sequence[str], probabilities: Floats, classes: Sequence[str]) -> Codes:
    """Return the code of each row's label.

    Raises:
        InvalidInput: there is no row, a label is none of the classes, or a number is no
            probability.
    """
    codes = {label: code for code, label in enumerate(classes)}
    unknown = sorted({str(label) for label in truth} - codes.keys())
    if unknown or not len(truth):
        problem = f"labels that the model does not know: {unknown}" if unknown else "no rows"
        raise InvalidInput(f"the test data has {problem}; the model's classes are {list(classes)}")
    if probabilities.shape != (len(truth), len(classes)) or not np.isfinite(probabilities).all():
        raise InvalidInput(
            f"expected finite probabilities ({len(truth)} rows, {len(classes)} classes); got "
            f"{probabilities.shape}, {np.count_nonzero(~np.isfinite(probabilities))} not finite"
        )
    return np.array([codes[str(label)] for label in truth], dtype=np.int64)


def positive_of(classes: Sequence[str], wanted: str | None) -> int | None:
    """Return the code of the class that is looked for, None where there are not two.

    Raises:
        InvalidInput: the wanted one is none of two classes.
    """
    if wanted is not None:
        if str(wanted) not in classes or len(classes) != 2:
            raise InvalidInput(
                f"positive={wanted!r} must be one of two classes; the model has {list(classes)}"
            )
        return list(classes).index(str(wanted))
    if len(classes) != 2:
        return None
    first, second = (label.strip().casefold() in _ABSENT for label in classes)
    return 0 if second and not first else 1


def called_as(
    called: Sequence[str] | None,
    probabilities: Floats,
    classes: Sequence[str],
    place: int | None = None,
    threshold: float | None = None,
) -> Codes:
    """Return the code of the class that each row is called.

    Args:
        called: the labels, where they are known.
        probabilities: else the most probable class is it, of these (rows, classes);
        classes: the class of each column.
        place: or, of two classes, the code of the one
        threshold: whose probability reaches this.

    Raises:
        InvalidInput: a label is none of the classes, or a threshold parts more than two.
    """
    if called is not None:
        return codes_of(called, probabilities, classes)
    if threshold is None:
        return winners(probabilities)
    if place is None:
        raise InvalidInput("threshold= parts two classes; leave it out where there are more")
    return np.where(probabilities[:, place] >= threshold, place, 1 - place)


def anomalies_of(labels: NDArray[np.str_], positive: str | None) -> NDArray[np.bool_]:
    """Return which labels say that a row is an anomaly.

    Args:
        labels: of the rows (rows,).
        positive: the label of anomalies; by default every one whose name doesn't say that nothing
            was found.

    Raises:
        InvalidInput: no name says so, or the wanted label is not there.
    """
    names = np.unique(labels)
    if positive is not None and str(positive) not in names:
        raise InvalidInput(f"positive={positive!r} is none of the labels: {names.tolist()}")
    if positive is not None:
        chosen: NDArray[np.bool_] = labels == str(positive)
        return chosen
    absent = np.array([name.strip().casefold() in _ABSENT for name in names])
    if not absent.any():
        raise InvalidInput(
            f"none of the labels {names.tolist()[:9]} says which rows are normal; name that of "
            "the anomalies: positive='fraud'"
        )
    anomalous: NDArray[np.bool_] = ~np.isin(labels, names[absent])
    return anomalous
