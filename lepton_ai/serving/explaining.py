"""Explanations of served answers: what a request may ask, and the rows that it is about.

Loaded by the first request for an explanation.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.explanation.explainer import Explainer, Method
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.ml.explanation.space import ArraySpace
from lepton_ai.serving.batching import Pending, Predicted

__all__ = ["MOST_ROWS", "Explained", "Wanted", "explained", "wanted"]

MOST_ROWS = 32
"""Rows that one request may have explained: each costs thousands of answers."""

_MOST_SAMPLES = 1000


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """What a request asks for, in its query.

    Attributes:
        about: the class, cluster or series; by default what each row was answered.
        method: how; see `lepton_ai.ml.explanation.explainer.Explainer.explain`.
        samples: pairs of orders behind sampled values.
        seed: of the orders.
    """

    about: str | None = None
    method: Method = "auto"
    samples: int | None = None
    seed: int = 0


class Explained(Struct, frozen=True):
    """The answer to one request: the receipt's id, who answered, an explanation per row."""

    id: str
    model: str
    version: int
    explanations: list[Explanation]


def wanted(query: bytes) -> Wanted:
    """Read what a request asks for.

    Raises:
        InvalidInput: the query has another word or value; the message lists the words.
    """
    try:
        pairs = dict(parse_qsl(query.decode(), keep_blank_values=True))
        asked = msgspec.convert(pairs, Wanted, strict=False)
    except (msgspec.ValidationError, UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(
            f"the query does not fit: {error}; it may hold about, method (auto, own, exact, "
            "sampled, gradients), samples and seed, such as ?about=malignant&samples=50"
        ) from None
    if (asked.samples is not None and asked.samples > _MOST_SAMPLES) or not 0 <= asked.seed < 2**32:
        raise InvalidInput(
            f"samples may be up to {_MOST_SAMPLES}, and seed 0 to 2**32 - 1; got "
            f"{asked.samples} and {asked.seed}"
        )
    return asked


def explained(
    explainer: Explainer, pending: Pending, predicted: Predicted, asked: Wanted
) -> list[Explanation]:
    """Explain the answers that a request was given; slow, for a worker thread.

    Raises:
        InvalidInput: the model cannot be explained as asked.
    """
    found = explainer.explain(
        _rows(explainer, pending),
        about=asked.about,
        method=asked.method,
        samples=asked.samples,
        seed=asked.seed,
        answers=predicted.answers,
    )
    return [explainer.with_receipt(each, predicted.id) for each in found]


def _rows(explainer: Explainer, pending: Pending) -> Sequence[Any]:
    space = explainer.space
    if not isinstance(space, ArraySpace):
        return list(pending.value)
    predictor = explainer.predictor
    if pending.form == "series":
        return list(predictor.features_of_series(pending.value))
    if pending.form == "matrix":
        return list(space.unprepared(pending.value))
    (array,) = pending.value.values()
    return list(np.asarray(array, dtype=np.float64).reshape(len(array), -1))
