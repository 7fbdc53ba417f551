"""Tick batching: the requests that wait at the same turn of the event loop form one batch.

Requests are collected in a list; the first one asks the loop, by ``call_soon``, to run what has
been collected once all handlers of this turn had theirs. No timer: a lone request waits for
nobody. A batch that is expected to be quick runs at once, on the loop's own thread; a slow one
runs in a worker thread, one at a time for each model, and what arrives meanwhile forms the next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.ml.predictor import Predictor
from lepton_ai.serving.messages import HttpError
from lepton_ai.serving.served import Served

__all__ = ["Batcher", "Pending", "Predicted", "compute"]

logger = logging.getLogger(__name__)

Form = Literal["records", "series", "tensors", "matrix"]

INLINE_SECONDS = 0.002
"""A batch that takes longer than this runs in a thread; the loop goes on meanwhile."""

MOST_ROWS = 8192
"""The rows of one batch; what waits beyond that comes in the next."""

MOST_WAITING = 4096
"""The requests that may wait for one model; the next ones are sent away with 503."""


class Predicted(Struct, frozen=True):
    """What the model said for the rows of one request, and the id of its receipt.

    Attributes:
        id: of the receipt.
        labels: of the rows, where the model gives labels.
        answers: float64 (rows, width); the model's outcome says what they mean.
    """

    id: str
    labels: list[str]
    answers: NDArray[np.float64]


class Pending:
    """A request that waits for its batch.

    Args:
        form: what ``value`` is: records (list of dict), series (lists of records), tensors (dict
            of arrays) or a matrix of features (rows, features).
        value: the rows.
        rows: how many there are.
        digest: keyed digest of the input as received, for the receipt.
        principal: who asks, for the receipt.
    """

    __slots__ = ("digest", "form", "future", "group", "principal", "rows", "value")

    def __init__(self, form: Form, value: Any, rows: int, digest: bytes, principal: str) -> None:
        self.form = form
        self.value = value
        self.rows = rows
        self.digest = digest
        self.principal = principal
        self.group: Hashable = form
        if form == "tensors":
            # Only tensors of the same names, types and inner shapes can be put together.
            self.group = tuple(
                sorted((name, array.dtype.str, array.shape[1:]) for name, array in value.items())
            )
        self.future: asyncio.Future[Predicted]


Outcome = tuple[list[str], NDArray[np.float64]] | Exception
Record = Callable[[Served, Sequence[tuple[Pending, list[str], NDArray[np.float64]]]], list[str]]
"""Writes the receipts of a batch and returns their ids; after an OSError no answer leaves."""


class Batcher:
    """Collects the requests for one served model and runs them together.

    Args:
        served: the model.
        record: called with every computed batch before any of its answers leaves.
        workers: the threads that run slow batches.
    """

    def __init__(self, served: Served, record: Record, workers: Executor) -> None:
        self.served = served
        self._record = record
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Pending] = []
        self._scheduled = False
        self._in_thread = False
        self._pace = Pace()

    def submit(self, pending: Pending) -> "asyncio.Future[Predicted]":
        """Add a request to the batch of this turn; the future brings its rows' predictions.

        Raises:
            HttpError: 503 when too many requests wait already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise HttpError(
                503,
                f"{len(self._waiting)} requests wait for {self.served.endpoint!r} already; "
                "try again in a moment",
                [(b"retry-after", b"1")],
            )
        pending.future = self._loop.create_future()
        self._waiting.append(pending)
        if not self._scheduled and not self._in_thread:
            self._scheduled = True
            self._loop.call_soon(self._run)
        return pending.future

    def _run(self) -> None:
        self._scheduled = False
        batch, rows = self._take()
        predictor = self.served.predictor
        if self._pace.expect(rows) <= INLINE_SECONDS:
            self._finish(batch, *_timed(predictor, batch))
        else:
            self._in_thread = True
            running = self._loop.run_in_executor(self._workers, _timed, predictor, batch)
            running.add_done_callback(lambda done: self._back(batch, done))
        if self._waiting and not self._in_thread:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _take(self) -> tuple[list[Pending], int]:
        rows = 0
        for index, pending in enumerate(self._waiting):
            if index and rows + pending.rows > MOST_ROWS:
                batch, self._waiting = self._waiting[:index], self._waiting[index:]
                return batch, rows
            rows += pending.rows
        batch, self._waiting = self._waiting, []
        return batch, rows

    def _back(
        self, batch: list[Pending], done: "asyncio.Future[tuple[list[Outcome], float]]"
    ) -> None:
        self._in_thread = False
        if done.cancelled() or done.exception() is not None:
            # The pool is gone: the server is going down and nobody reads the answers.
            for pending in batch:
                pending.future.cancel()
            return
        self._finish(batch, *done.result())
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _finish(self, batch: list[Pending], outcomes: list[Outcome], seconds: float) -> None:
        self._pace.observe(sum(pending.rows for pending in batch), seconds)
        computed = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                _refuse(pending, outcome)
            else:
                computed.append((pending, *outcome))
        if not computed:
            return
        try:
            ids = self._record(self.served, computed)
        except OSError:
            # An answer without a receipt is none: fail closed, until there is room again.
            logger.exception("the receipts of a batch cannot be written; its answers are withheld")
            for pending, *_ in computed:
                _refuse(pending, HttpError(503, "the answer cannot be recorded, so it is withheld"))
            return
        for prediction_id, (pending, labels, answers) in zip(ids, computed, strict=True):
            if not pending.future.done():
                pending.future.set_result(Predicted(prediction_id, labels, answers))


def _refuse(pending: Pending, error: Exception) -> None:
    if not pending.future.done():
        pending.future.set_exception(error)


def _timed(predictor: Predictor, batch: list[Pending]) -> tuple[list[Outcome], float]:
    begin = time.perf_counter()
    outcomes = compute(predictor, batch)
    return outcomes, time.perf_counter() - begin


def compute(predictor: Predictor, batch: list[Pending]) -> list[Outcome]:
    """Return labels and answers for each request of a batch, or what is wrong with it.

    When the batch fails as a whole, each request is computed alone: one that is wrong, in
    whatever way, fails none but itself.
    """
    try:
        return _together(predictor, batch)
    except Exception as error:
        if len(batch) == 1:
            return [error]
    return [outcome for pending in batch for outcome in compute(predictor, [pending])]


def _together(predictor: Predictor, batch: list[Pending]) -> list[Outcome]:
    groups: dict[Hashable, list[int]] = {}
    for index, pending in enumerate(batch):
        groups.setdefault(pending.group, []).append(index)
    matrices = [
        _features(predictor, [batch[index] for index in members]) for members in groups.values()
    ]
    matrix = matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
    answers = predictor.run(matrix)
    labels = predictor.labels(answers)
    outcomes: list[Outcome] = [([], answers)] * len(batch)
    begin = 0
    for members in groups.values():
        for index in members:
            end = begin + batch[index].rows
            outcomes[index] = (labels[begin:end], answers[begin:end])
            begin = end
    if begin != len(answers):
        raise RuntimeError(f"the model gave {len(answers)} predictions for {begin} rows")
    return outcomes


def _features(predictor: Predictor, batch: list[Pending]) -> NDArray[np.float64]:
    form = batch[0].form
    if form == "records":
        return predictor.features([record for pending in batch for record in pending.value])
    if form == "series":
        return predictor.features_of_series([each for pending in batch for each in pending.value])
    values = [pending.value for pending in batch]
    if form == "matrix":
        return np.concatenate(values)
    if len(values) == 1:
        return predictor.features_from_tensors(values[0])
    return predictor.features_from_tensors(
        {name: np.concatenate([value[name] for value in values]) for name in values[0]}
    )


class Pace:
    """How long batches of about the same size took lately: a size is a power of two of rows."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def observe(self, rows: int, seconds: float) -> None:
        """Take note of one batch."""
        size = rows.bit_length()
        before = self._seconds.get(size, seconds)
        # One that was interrupted says little of the model; one that was quicker says much.
        weight = 0.1 if seconds > before else 0.5
        self._seconds[size] = before + weight * (seconds - before)

    def expect(self, rows: int) -> float:
        """Return the seconds a batch will take: infinite as long as nothing is known."""
        size = rows.bit_length()
        known = self._seconds.get(size)
        if known is not None:
            return known
        smaller = [other for other in self._seconds if other < size]
        if smaller:
            nearest = max(smaller)
            return float(self._seconds[nearest] * 2 ** (size - nearest))
        # A larger batch that was quick bounds a smaller one.
        return min(self._seconds.values(), default=float("inf"))
