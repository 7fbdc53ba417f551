"""One fit on several workers of an engine, which share each batch and average their gradients.

The workers meet in a store of this process and add their gradients by Gloo's all-reduce. Each
draws the whole batch and learns from its part of the rows, so that the steps are those of one
process with the same batch size, up to the rounding of sums (batch normalisation apart, whose
statistics are those of a worker's part; ``norm="group"`` has none).
"""

from concurrent.futures import FIRST_EXCEPTION, wait
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed

from lepton_ai.compute.engine import Engine
from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.network import Network

__all__ = ["fit_distributed"]

E = TypeVar("E", bound=Network)

# Its stubs leave out what is used here.
_TORCH: Any = distributed
_PATIENCE = timedelta(minutes=5)


class _Place(NamedTuple):
    """Where the workers meet, and which of them this is."""

    host: str
    port: int
    rank: int
    size: int


class _GlooPeers:
    """A worker's connection to the others."""

    def __init__(self, place: _Place) -> None:
        self.rank = place.rank
        self.size = place.size
        store = _TORCH.TCPStore(place.host, place.port, is_master=False, timeout=_PATIENCE)
        # A group of its own, not the one of the process, which may have another use for it.
        gloo = _TORCH.ProcessGroupGloo
        options = gloo._Options()
        options._timeout = _PATIENCE
        options._devices = [gloo.create_device(hostname=place.host)]
        self._group = gloo(store, place.rank, place.size, options)

    def add(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all workers; one message for all of them."""
        together = torch.cat([tensor.reshape(-1) for tensor in tensors]).cpu()
        self._group.allreduce([together]).wait()
        lengths = [tensor.numel() for tensor in tensors]
        for tensor, total in zip(tensors, torch.split(together, lengths), strict=True):
            tensor.copy_(total.view_as(tensor))


def fit_distributed(
    estimator: E,
    X: Any,  # noqa: N803
    y: Any,
    *,
    engine: Engine,
    workers: int | None = None,
    host: str = "127.0.0.1",
    **fitting: Any,
) -> E:
    """Fit a network on several workers at once, and return it.

    Args:
        estimator: any network; it is fitted in place.
        X: as `fit` takes it; so is ``y``.
        y: what to learn.
        engine: one of processes or of nodes, such as Ray's; its workers must be free, since
            all have to run at once.
        workers: how many share each batch; all of the engine's unless said.
        host: an address of this machine that every worker reaches. The default serves
            workers on this machine only.
        fitting: other arguments of ``fit``, such as ``groups``.

    Raises:
        InvalidInput: there are more workers than the engine has, or than rows in a batch.
        RuntimeError: a worker was lost; with a `checkpoint` the same call goes on from there.
    """
    size = engine.workers if workers is None else workers
    if not 1 <= size <= engine.workers or size > estimator.batch_size:
        raise InvalidInput(
            f"workers must be from 1 to {engine.workers}, which the engine has, and at most the "
            f"batch_size, {estimator.batch_size}; got {size}"
        )
    store = _TORCH.TCPStore(host, 0, is_master=True, wait_for_workers=False)
    shared = engine.put((X, y, fitting))
    tasks = [
        engine.submit(_work, estimator, shared, _Place(host, store.port, rank, size))
        for rank in range(size)
    ]
    # When one is lost the others wait for it in vain.
    done, waiting = wait(tasks, return_when=FIRST_EXCEPTION)
    for task in waiting:
        task.cancel()
    for task in done:
        task.result()
    estimator.__dict__.update(tasks[0].result().__dict__)
    return estimator


def _work(estimator: Any, shared: tuple[Any, Any, dict[str, Any]], place: _Place) -> Any:
    """Fit as one of the workers; only the first one's answer is used."""
    features, targets, fitting = shared
    estimator._peers = _GlooPeers(place)
    try:
        return estimator.fit(features, targets, **fitting)
    finally:
        del estimator._peers
