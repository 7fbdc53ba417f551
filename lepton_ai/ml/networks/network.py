"""The base of every network: torch behind scikit-learn's API.

A family writes `_body` (its module) and, where it differs, `_pooled_axes` and `_augmented`; it
combines with `NetworkClassifier` or `NetworkRegressor` of `supervised` and repeats nothing else.
Parameters are the fields of a dataclass, which gives scikit-learn its constructor: keyword-only,
stored as they came, checked by `fit`.

The loop is plain torch, without skorch: skorch keeps checkpoints by ``torch.save`` (pickle), and
what is wanted here (the same bytes after a kill, held-out groups and times, weights averaged over
steps, batches shared by processes) would replace each of its callbacks.

Layering: `device`, `holdout`, `schedules`, `graph`, `blocks`, `checkpoint` and `augmentation` are
leaves; `trainer` and `onnx` stand on them, this module on those, `supervised` on this one, and
families on both.
"""

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.checkpoint import Checkpoint
from lepton_ai.ml.networks.device import device_named, reproducible
from lepton_ai.ml.networks.graph import Graph, Kind
from lepton_ai.ml.networks.holdout import hold_out
from lepton_ai.ml.networks.onnx import export
from lepton_ai.ml.networks.schedules import SCHEDULES
from lepton_ai.ml.networks.trainer import Examples, Peers, Plan, Trainer

__all__ = ["Network", "moments"]

_ANSWERED_AT_ONCE = 1024
# They decide where a fit runs and what it shows, not what it finds.
_OUTSIDE_DIGEST = ("checkpoint", "progress")


@dataclass(kw_only=True, eq=False, repr=False)
class Network(BaseEstimator):  # type: ignore[misc]
    """A network of torch that is fitted and asked as any estimator of scikit-learn.

    Args:
        shape: how a row of features folds, such as ``(28, 28)``, ``(28, 28, 3)`` or
            ``(steps, sensors)``; None means ``(features,)``.
        epochs: how often every row is learned from, at most.
        batch_size: rows of a step, at most.
        learning_rate: highest rate of AdamW (Loshchilov and Hutter, 2019).
        weight_decay: pull of the weight matrices to zero; biases and norms are left alone.
        schedule: of the learning rate: ``one-cycle``, ``cosine`` or ``constant``.
        validation: share of rows held out to stop on. Less than ten rows are not held out.
        patience: epochs without a lower held-out loss before the fit stops; None never stops
            early. The weights of the best epoch are kept either way.
        clip_norm: longest gradient; None leaves them as they are.
        averaging: decay of a running average of the weights, which then answers (such as
            0.998); 0 uses the last weights themselves.
        mixup: parameter of the beta distribution that blends rows; 0 blends none.
        augment: ``auto`` (small shifts, turns and changes of intensity for images, nothing for
            other rows), a mapping of an augmentation's name to its strength, or None.
        members: networks of different starts whose answers are averaged.
        warm_start: begin a further `fit` with the weights and scales of the one before
            (fine-tuning); what has another shape, such as the head for other classes, starts
            afresh.
        device: ``auto`` (CUDA where there is one) or a name of torch's, such as ``cpu``.
        random_state: seed of all chance. The same seed, machine and number of threads give
            the same bytes on processors.
        threads: of torch while it learns and answers; None leaves their number as it is.
        checkpoint: directory where the state is kept after each epoch. The same fit, started
            again after it was killed, goes on from there; it needs an integer `random_state`.
        progress: show epochs, loss and metric while standard error is a terminal.

    Attributes:
        graph_: the fitted `Graph`: raw features in, answers out.
        history_: of each member, the figures of each epoch.
    """

    shape: tuple[int, ...] | None = None
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    schedule: str = "one-cycle"
    validation: float = 0.1
    patience: int | None = 10
    clip_norm: float | None = 1.0
    averaging: float = 0.0
    mixup: float = 0.0
    augment: str | Mapping[str, float] | None = "auto"
    members: int = 1
    warm_start: bool = False
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    threads: int | None = None
    checkpoint: str | os.PathLike[str] | None = None
    progress: bool = True

    _kind: ClassVar[Kind]
    _metric_name: ClassVar[str]
    # The other workers of a distributed fit, for as long as it lasts.
    _peers: ClassVar[Peers | None] = None

    # What a family supplies.

    @abstractmethod
    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Return a new module: standardised (rows, \\*shape) -> (rows, outputs)."""

    def _pooled_axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the axes of a row over which mean and scale are pooled.

        Unless a family says otherwise each place of the last axis (a feature, a sensor) has its
        own mean and scale.
        """
        return tuple(range(len(shape) - 1))

    def _augmented(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return inputs (rows, \\*shape) changed at random; they are on the processor."""
        return inputs

    @abstractmethod
    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row (rows,)."""

    @abstractmethod
    def _metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return one figure of held-out rows, to show."""

    # What every network does.

    def _fit(
        self,
        features: NDArray[np.float32],
        targets: NDArray[np.float32],
        *,
        weights: NDArray[np.float64],
        classes: NDArray[np.int64] | None = None,
        groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> None:
        """Learn from features (rows, features), targets (rows, outputs) and weights (rows,)."""
        self._check()
        shape = self._folded(features.shape[1])
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        rows, held = hold_out(
            len(features),
            self.validation,
            np.random.default_rng(seed),
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            times=None if times is None else np.asarray(times),
        )
        if not weights[rows].sum() > 0:
            raise InvalidInput(
                "sample_weight leaves no row to learn from: the weights of all training rows "
                "are zero; give at least one row a positive weight"
            )
        before = self._before(features.shape[1])
        if before is None:
            mean, scale = self._moments(features[rows], shape)
        else:
            mean, scale = before.mean.numpy(), before.scale.numpy()
        if before is not None and before.outputs == targets.shape[1]:
            # The head that is taken over answers in these units.
            target_mean, target_scale = before.target_mean.numpy(), before.target_scale.numpy()
        else:
            target_mean, target_scale = self._target_moments(targets[rows])
        device = device_named(self.device)

        def examples(numbers: NDArray[np.int64]) -> Examples:
            inputs = (features[numbers] - mean) / scale
            wanted = (targets[numbers] - target_mean) / target_scale
            relative = weights[numbers] / weights[rows].mean()
            return Examples(
                torch.from_numpy(inputs).view(-1, *shape),
                torch.from_numpy(wanted),
                torch.from_numpy(relative.astype(np.float32)),
            )

        learned, stopped = examples(rows), examples(held) if len(held) else None
        plan = self._plan(seed, device)
        digest = self._digest(seed, learned, stopped, before)
        bodies, history = [], []
        with reproducible(device, self.threads):
            for member in range(self.members):
                torch.manual_seed(np.random.SeedSequence([seed, member]).generate_state(1)[0])
                body = self._body(shape, targets.shape[1])
                if before is not None:
                    _inherit(body, before.members[member % len(before.members)])
                place = self.checkpoint and Checkpoint(Path(self.checkpoint), digest, member)
                trainer = Trainer(body, plan, member, place or None, self._peers)
                bodies.append(trainer.run(learned, stopped))
                history.append(trainer.history)
        self.history_ = history
        moments = (mean, scale, target_mean, target_scale)
        self.graph_ = Graph(bodies, shape, self._kind, *map(torch.from_numpy, moments))
        self.graph_.eval().requires_grad_(False)

    def _features(self, *arguments: Any, **named: Any) -> Any:
        """Return what scikit-learn's `validate_data` does, features as float32."""
        # A number too large for float32 becomes infinite, which is then refused.
        with np.errstate(over="ignore"):
            return validate_data(self, *arguments, dtype=np.float32, **named)

    def _before(self, features: int) -> Graph | None:
        """Return the graph to begin with, where there is one."""
        graph: Graph | None = getattr(self, "graph_", None) if self.warm_start else None
        if graph is not None and len(graph.mean) != features:
            raise InvalidInput(
                f"warm_start goes on with {len(graph.mean)} features a row; X has {features}; "
                "set warm_start=False to start afresh"
            )
        return graph

    def _empty_graph(self, features: int, outputs: int) -> Graph:
        """Return a graph of the parameters' layout with weights by chance."""
        shape = self._folded(features)
        bodies = [self._body(shape, outputs) for _ in range(self.members)]
        sizes = (features, features, outputs, outputs)
        return Graph(bodies, shape, self._kind, *[torch.empty(size) for size in sizes])

    def _answers(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return what the graph answers (rows, k) to features (rows, features)."""
        check_is_fitted(self, "graph_")
        features = self._features(X, reset=False)
        with reproducible(torch.device("cpu"), self.threads), torch.inference_mode():
            parts = torch.split(torch.tensor(features), _ANSWERED_AT_ONCE)
            answers: NDArray[np.float32] = torch.cat([self.graph_(part) for part in parts]).numpy()
        return answers

    def to_onnx(self) -> bytes:
        """Return the fitted graph as ONNX: ``X`` in, the answers out.

        Raises:
            NotExportable: an operator of the network has no ONNX form.
        """
        check_is_fitted(self, "graph_")
        return export(self.graph_)

    def _plan(self, seed: int, device: torch.device) -> Plan:
        return Plan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            patience=self.patience,
            clip_norm=self.clip_norm,
            averaging=self.averaging,
            mixup=self.mixup,
            seed=seed,
            device=device,
            progress=self.progress,
            losses=self._losses,
            metric=self._metric,
            metric_name=self._metric_name,
            augment=self._augmented,
        )

    def _moments(
        self, rows: NDArray[np.float32], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale of each feature (features,)."""
        return moments(rows, shape, self._pooled_axes(shape))

    def _target_moments(
        self, targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what is subtracted from each output and what it is divided by (outputs,)."""
        outputs = targets.shape[1]
        return np.zeros(outputs, np.float32), np.ones(outputs, np.float32)

    def _folded(self, features: int) -> tuple[int, ...]:
        shape = (features,) if self.shape is None else tuple(int(length) for length in self.shape)
        if not shape or min(shape) < 1 or prod(shape) != features:
            raise InvalidInput(
                f"shape {self.shape} does not fold rows of {features} features; its product must "
                f"be {features}, such as shape=({features},)"
            )
        return shape

    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def _validate_params(self) -> None:
        """Check as every estimator of scikit-learn does, by the name that it has there."""
        self._check()

    def _check(self) -> None:
        """Refuse parameters that no fit could use, before any work."""
        for name in ("epochs", "batch_size", "members"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise InvalidInput(f"{name} must be a whole number from 1; got {value!r}")
        if not self.learning_rate > 0:
            raise InvalidInput(f"learning_rate must be above 0; got {self.learning_rate!r}")
        for name in ("weight_decay", "mixup"):
            if not getattr(self, name) >= 0:
                raise InvalidInput(f"{name} must be 0 or more; got {getattr(self, name)!r}")
        if not 0 <= self.averaging < 1:
            raise InvalidInput(f"averaging must be from 0 to below 1; got {self.averaging!r}")
        if self.schedule not in SCHEDULES:
            raise InvalidInput(
                f"schedule {self.schedule!r} is unknown; known: {', '.join(SCHEDULES)}"
            )
        if self.checkpoint is not None and not isinstance(self.random_state, int | np.integer):
            raise InvalidInput(
                "a fit with a checkpoint must be the same fit when it is started again; give an "
                f"integer random_state, not {self.random_state!r}"
            )

    def _digest(
        self, seed: int, learned: Examples, stopped: Examples | None, before: Graph | None
    ) -> str:
        """Name everything that decides the fit: family, parameters, seed, data, start."""
        chosen = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _OUTSIDE_DIGEST
        }
        text = json.dumps([type(self).__qualname__, seed, chosen], sort_keys=True, default=_told)
        digest = hashlib.sha256(text.encode())
        start = () if before is None else before.state_dict().values()
        for tensor in (*learned, *(stopped or ()), *start):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


def moments(
    rows: NDArray[np.float32], shape: tuple[int, ...], pooled: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each feature (features,); those of a constant are 1.

    Features that differ only along the pooled axes share theirs.
    """
    folded = rows.reshape(len(rows), *shape).astype(np.float64)
    axes = (0, *(axis + 1 for axis in pooled))
    mean = folded.mean(axis=axes, keepdims=True)
    scale = folded.std(axis=axes, keepdims=True)
    # Rounding leaves a little spread in a constant; dividing by it would blow it up.
    scale[scale <= 1e-7 * np.maximum(1.0, np.abs(mean))] = 1.0
    return tuple(  # type: ignore[return-value]
        np.broadcast_to(values, (1, *shape)).reshape(-1).astype(np.float32)
        for values in (mean, scale)
    )


def _told(value: Any) -> str:
    """Name a parameter that JSON has no form for; the text of a long array leaves most out."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return repr(value)


def _inherit(body: nn.Module, before: nn.Module) -> None:
    """Take over every tensor of the same name and shape."""
    own = body.state_dict()
    body.load_state_dict(
        {
            name: value
            for name, value in before.state_dict().items()
            if name in own and own[name].shape == value.shape
        },
        strict=False,
    )
