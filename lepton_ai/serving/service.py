"""The service of one replica: which models it serves, and how a request reaches one."""

import hashlib
from asyncio import Semaphore
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from lepton_ai.core.optional import load
from lepton_ai.serving.batching import Batcher, Pending, Record
from lepton_ai.serving.messages import HttpError, Intake
from lepton_ai.serving.served import Served

if TYPE_CHECKING:
    from lepton_ai.ml.explanation.explainer import Explainer

__all__ = ["Service"]

_PICTURES = "lepton_ai.serving.images:pictures"


class Service:
    """The models of one replica by endpoint name; used on the event loop's thread.

    Args:
        intake: bounds the bodies in memory.
        record: writes the receipts of a batch.
        digest_key: keys the digests of inputs, 32 bytes.
        workers: threads for slow batches and for decoding files.
        largest_image: the largest decoded image that is read, in bytes.
        explain: loads what explains a served model.

    Attributes:
        explaining: held by the one request whose answers are being explained.
        waiting: how many requests want it, that one among them.
    """

    def __init__(
        self,
        *,
        intake: Intake,
        record: Record,
        digest_key: bytes,
        workers: Executor,
        largest_image: int,
        explain: "Callable[[Served], Explainer]",
    ) -> None:
        self.intake = intake
        self.workers = workers
        self._largest_image = largest_image
        self.batchers: dict[str, Batcher] = {}
        self.failures: set[str] = set()
        self.reconciled = False
        # One at a time: the other threads answer and decode meanwhile.
        self.explaining = Semaphore(1)
        self.waiting = 0
        self._explain = explain
        self._explainers: dict[str, Explainer] = {}
        self._record = record
        self._keyed = hashlib.blake2b(key=digest_key, digest_size=16)

    @property
    def ready(self) -> bool:
        """Whether every endpoint has a model that answers, be it an earlier one than wanted."""
        return self.reconciled and self.failures <= self.batchers.keys()

    def swap(self, served: Served) -> None:
        """Serve this model at its endpoint from the next request on.

        Requests that wait for the model before it are answered by that one.
        """
        self.batchers[served.endpoint] = Batcher(served, self._record, self.workers)
        self.failures.discard(served.endpoint)

    def fail(self, endpoint: str) -> None:
        """Note that the wanted model of an endpoint cannot be served; what was served stays."""
        self.failures.add(endpoint)

    def remove(self, endpoint: str) -> None:
        """Stop serving an endpoint; requests that wait are still answered."""
        self.batchers.pop(endpoint, None)
        self.failures.discard(endpoint)

    def find(self, endpoint: str, version: str | None = None) -> Batcher:
        """Return what serves an endpoint.

        Raises:
            HttpError: 404 when there is no such endpoint or it serves another version, 503 when
                its model could not be loaded.
        """
        batcher = self.batchers.get(endpoint)
        if batcher is None:
            if endpoint in self.failures:
                raise HttpError(
                    503, f"the model of {endpoint!r} could not be loaded; `lepton status` says why"
                )
            deployed = ", ".join(sorted(self.batchers)) or "none yet"
            raise HttpError(404, f"no model is deployed as {endpoint!r}; deployed: {deployed}")
        if version is not None and version != str(batcher.served.version):
            raise HttpError(
                404,
                f"{endpoint!r} serves version {batcher.served.version}, not {version}; "
                "leave the version out of the path to get the one that is served",
            )
        return batcher

    def explainer(self, served: Served) -> "Explainer":
        """Return what explains a model, loaded at the first question; for a worker thread.

        Raises:
            InvalidInput: its bundle does not hold what explanations start from.
        """
        if served.model_id not in self._explainers:
            living = {batcher.served.model_id for batcher in [*self.batchers.values()]}
            kept = {key: each for key, each in self._explainers.items() if key in living}
            self._explainers = {**kept, served.model_id: self._explain(served)}
        return self._explainers[served.model_id]

    @staticmethod
    def prepare(served: Served) -> None:
        """Import what the model's requests need; a server of tables needs no readers of images."""
        if served.predictor.signature.kind == "image":
            load(_PICTURES, extra="all")

    def digest(self, data: bytes) -> bytes:
        """Return the keyed digest of an input, 16 bytes: it tells nothing without the key."""
        keyed = self._keyed.copy()
        keyed.update(data)
        return keyed.digest()

    def image_rows(self, batcher: Batcher, files: Sequence[bytes], principal: str) -> Pending:
        """Decode files into features; slow, for a worker thread.

        Raises:
            InvalidInput: a file cannot be read, or does not fit the model.
        """
        predictor = batcher.served.predictor
        decoded = load(_PICTURES, extra="all")(predictor, files, self._largest_image)
        matrix = predictor.features_from_images(
            [array for array, _ in decoded], [meta for _, meta in decoded]
        )
        keyed = self._keyed.copy()
        for data in files:
            keyed.update(data)
        return Pending("matrix", matrix, len(matrix), keyed.digest(), principal)
