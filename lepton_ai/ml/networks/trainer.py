"""The loop over epochs that trains one member of a network.

All chance of an epoch (order, augmentation, mixing, dropout) is drawn from the seed, the member
and the number of the epoch, so that a fit that goes on from a checkpoint needs no state of a
generator, and two fits of one seed end in the same bytes.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lepton_ai.core.progress import track
from lepton_ai.ml.networks.checkpoint import Checkpoint
from lepton_ai.ml.networks.schedules import SCHEDULES

__all__ = ["Examples", "Peers", "Plan", "Trainer", "in_batches"]

_EVALUATED_AT_ONCE = 1024


class Examples(NamedTuple):
    """Standardised inputs (rows, \\*shape), targets (rows, outputs), weights (rows,) of mean 1."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def take(self, rows: Tensor) -> "Examples":
        """Return some of the rows."""
        return Examples(self.inputs[rows], self.targets[rows], self.weights[rows])


class Plan(NamedTuple):
    """How to train: the parameters of a network of the same names, and its own functions.

    Attributes:
        losses: outputs and targets -> the loss of each row (rows,).
        metric: outputs and targets -> one figure to show, whose name is `metric_name`.
        augment: inputs and a generator -> inputs of the same shape.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: str
    patience: int | None
    clip_norm: float | None
    averaging: float
    mixup: float
    seed: int
    device: torch.device
    progress: bool
    losses: Callable[[Tensor, Tensor], Tensor]
    metric: Callable[[Tensor, Tensor], Tensor]
    metric_name: str
    augment: Callable[[Tensor, torch.Generator], Tensor]


class Peers(Protocol):
    """The other processes of one fit, which share each batch."""

    rank: int
    size: int

    def add(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        ...


class Trainer:
    """Trains one member of a network.

    Args:
        body: the module to train, in place; it has its starting weights.
        plan: how.
        member: its number within the ensemble.
        checkpoint: where the state is kept after each epoch.
        peers: the other processes that share each batch.
    """

    def __init__(
        self,
        body: nn.Module,
        plan: Plan,
        member: int = 0,
        checkpoint: Checkpoint | None = None,
        peers: Peers | None = None,
    ) -> None:
        self._plan = plan
        self._member = member
        self._checkpoint = checkpoint
        self._peers = peers
        self._body = body.to(plan.device)
        self._average = copy.deepcopy(self._body) if plan.averaging else self._body
        self._best = _state(self._average)
        self._optimizer = torch.optim.AdamW(
            _groups(self._body, plan.weight_decay), lr=plan.learning_rate
        )
        self._step = 0
        self._lowest = float("inf")
        self._waited = 0
        self.history: list[dict[str, float]] = []

    def run(self, examples: Examples, held: Examples | None) -> nn.Module:
        """Train, and return the body with the weights that were best on the held-out part.

        Without such a part the weights are those of the last epoch.
        """
        plan = self._plan
        self._resume()
        epochs = track(
            range(len(self.history), plan.epochs),
            f"member {self._member + 1}" if self._member else "training",
            status=self._status,
            shown=plan.progress,
        )
        for epoch in epochs:
            if self._stopped():
                break
            figures = {"loss": self._epoch(epoch, examples)}
            if held is not None:
                loss, metric = self._measure(held)
                figures |= {"held_out_loss": loss, f"held_out_{plan.metric_name}": metric}
                self._compare(loss)
            self.history.append(figures)
            self._keep()
        if held is not None:
            self._average.load_state_dict(self._best)
        return self._average.eval().cpu()

    def _stopped(self) -> bool:
        return self._plan.patience is not None and self._waited > self._plan.patience

    def _epoch(self, epoch: int, examples: Examples) -> float:
        """Learn from every row once; return the mean loss."""
        plan = self._plan
        generator = torch.Generator().manual_seed(self._seed(epoch, 0))
        torch.manual_seed(self._seed(epoch, 1))
        self._body.train()
        rows = len(examples.weights)
        order = torch.randperm(rows, generator=generator)
        steps = _steps(rows, plan.batch_size)
        total = torch.zeros((), device=plan.device)
        for numbers in in_batches(order, plan.batch_size):
            done = self._step / max(1, plan.epochs * steps - 1)
            for group in self._optimizer.param_groups:
                group["lr"] = plan.learning_rate * SCHEDULES[plan.schedule](done)
            total += self._learn(examples.take(numbers), generator)
            self._step += 1
        self._share_statistics()
        return float(total) / rows

    def _share_statistics(self) -> None:
        """Average what norms have measured, each worker on its part of the rows."""
        if self._peers is None:
            return
        measured = [buffer for buffer in self._body.buffers() if buffer.is_floating_point()]
        if measured:
            self._peers.add(measured)
            for buffer in measured:
                buffer /= self._peers.size

    def _learn(self, batch: Examples, generator: torch.Generator) -> Tensor:
        """Take one step down the loss of a batch; return the sum of its rows' losses."""
        plan = self._plan
        rows = len(batch.weights)
        # The whole batch is drawn by each process, so that their number changes no example.
        batch = self._mixed(batch._replace(inputs=plan.augment(batch.inputs, generator)), generator)
        own = batch if self._peers is None else batch.take(_part(rows, self._peers))
        inputs, targets, weights = (tensor.to(plan.device) for tensor in own)
        self._optimizer.zero_grad(set_to_none=False)
        with torch.autocast(
            plan.device.type, dtype=torch.bfloat16, enabled=plan.device.type == "cuda"
        ):
            outputs = self._body(inputs)
        loss = (plan.losses(outputs.float(), targets) * weights).sum() / rows
        loss.backward()  # type: ignore[no-untyped-call]
        found = loss.detach() * rows
        if self._peers is not None:
            gradients = [p.grad for p in self._body.parameters() if p.grad is not None]
            self._peers.add([*gradients, found])
        if plan.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._body.parameters(), plan.clip_norm)
        self._optimizer.step()
        if plan.averaging:
            self._follow()
        return found

    def _mixed(self, batch: Examples, generator: torch.Generator) -> Examples:
        """Blend each row with another of the batch (mixup, Zhang et al., 2018)."""
        if not self._plan.mixup or len(batch.weights) < 2:
            return batch
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        rows = len(batch.weights)
        draws = rng.beta(self._plan.mixup, self._plan.mixup, size=rows)
        share = torch.from_numpy(np.maximum(draws, 1 - draws).astype(np.float32))
        other = batch.take(torch.randperm(rows, generator=generator))
        mixed = []
        for mine, theirs in zip(batch, other, strict=True):
            weight = share.view(-1, *[1] * (mine.ndim - 1))
            mixed.append(mine * weight + theirs * (1 - weight))
        return Examples(*mixed)

    def _follow(self) -> None:
        """Move the averaged weights towards the trained ones."""
        decay = min(self._plan.averaging, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            averaged = self._average.state_dict()
            for name, value in self._body.state_dict().items():
                if value.dtype.is_floating_point:
                    averaged[name].lerp_(value, 1 - decay)
                else:
                    averaged[name].copy_(value)

    def _measure(self, held: Examples) -> tuple[float, float]:
        """Return the weighted mean loss and the metric of the held-out part."""
        self._average.eval()
        with torch.inference_mode():
            outputs = torch.cat(
                [
                    self._average(part.to(self._plan.device)).float().cpu()
                    for part in torch.split(held.inputs, _EVALUATED_AT_ONCE)
                ]
            )
            losses = self._plan.losses(outputs, held.targets) * held.weights
            metric = self._plan.metric(outputs, held.targets)
        return float(losses.sum() / held.weights.sum().clamp_min(1e-12)), float(metric)

    def _compare(self, loss: float) -> None:
        if loss < self._lowest:
            self._lowest, self._waited = loss, 0
            self._best = _state(self._average)
        else:
            self._waited += 1

    def _seed(self, epoch: int, purpose: int) -> int:
        words = np.random.SeedSequence([self._plan.seed, self._member, epoch, purpose])
        return int(words.generate_state(1, np.uint64)[0] >> 1)

    def _status(self) -> str:
        if not self.history:
            return ""
        return ", ".join(
            f"{name.replace('_', ' ')} {value:.4g}" for name, value in self.history[-1].items()
        )

    def _keep(self) -> None:
        if self._checkpoint is None or (self._peers is not None and self._peers.rank):
            return
        tensors = {f"body.{name}": value for name, value in _state(self._body).items()}
        tensors |= {f"average.{name}": value for name, value in _state(self._average).items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"moments.{number}.{name}": value for name, value in moments.items()}
        state = {
            "step": self._step,
            "lowest": self._lowest,
            "waited": self._waited,
            "history": self.history,
        }
        kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        self._checkpoint.save(kept, state)

    def _resume(self) -> None:
        found = self._checkpoint.load() if self._checkpoint is not None else None
        if found is None:
            return
        tensors, state = found
        self._body.load_state_dict(_under("body.", tensors))
        if self._average is not self._body:
            self._average.load_state_dict(_under("average.", tensors))
        self._best = _under("best.", tensors)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("moments.", tensors).items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self._step, self._lowest = state["step"], state["lowest"]
        self._waited, self.history = state["waited"], state["history"]


def in_batches(order: Tensor, size: int) -> Iterator[Tensor]:
    """Cut row numbers into batches of about the same size, none above the given one."""
    yield from order.tensor_split(_steps(len(order), size))


def _steps(rows: int, size: int) -> int:
    return -(-rows // size)


def _part(rows: int, peers: Peers) -> Tensor:
    return torch.arange(rows).tensor_split(peers.size)[peers.rank]


def _groups(body: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Biases and the scales of norms are not pulled to zero: it would only cost accuracy."""
    matrices = [p for p in body.parameters() if p.ndim > 1]
    vectors = [p for p in body.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
