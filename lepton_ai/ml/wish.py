"""Wish: what a caller asked of a training, to be carried out now and asked for again later."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct, to_builtins
from msgspec.structs import fields

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.registry import check_name, register
from lepton_ai.ml.selection.choosing import AUTO, Choice, Effort, is_auto
from lepton_ai.ml.task import Task
from lepton_ai.storage import Node, Workspace

__all__ = ["Wish", "check", "plain", "settled"]

# What a description says in words of its own, and what is no wish for another model.
_SAID = frozenset(
    ("model_type", "name", "seed", "parameters", "recipe", "workspace", "workers", "keep", "choice",
     "engine")
)  # fmt: skip


class Wish(Struct, frozen=True, kw_only=True):
    """What a caller asked of a training; see `lepton_ai.ml.training` for each word.

    Attributes:
        parameters: of the estimator.
        workers: threads that may grow trees; as many as the settings say, or processors, if None.
        engine: whose workers share the batches of a network; this process alone if None.
        keep: what takes the finished bundle: the registry.
        choice: of the model, made before: nothing is searched then, and nothing decided anew.
    """

    model_type: str
    target: Any = None
    name: str | None = None
    seed: int = 0
    groups: str | None = None
    sample_weight: str | None = None
    time: str | None = None
    balanced: bool = False
    contamination: float = 0.05
    window: int = 0
    horizon: int = 0
    season: str | int | None = "auto"
    kinds: Mapping[str, Any] | None = None
    components: int | float | None = None
    recipe: Any = None
    workspace: Workspace | None = None
    effort: Effort = Effort()
    parameters: dict[str, Any] = {}
    workers: int | None = None
    engine: Any = None
    keep: Callable[..., Node] = register
    choice: Choice | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for beside the defaults, as plain data, to be asked for again."""
        # A target is told by the description, or is the labels themselves; that of a forecast is
        # a choice of series.
        left_out = _SAID if self.horizon else _SAID | {"target"}
        said = {each.name: each.default for each in fields(self) if each.name not in left_out}
        told = {
            name: to_builtins(dict(value) if isinstance(value, Mapping) else value)
            for name, default in said.items()
            if (value := getattr(self, name)) != default
        }
        return {**told, "model_type": AUTO} if is_auto(self.model_type) else told

    def workers_in(self, place: Workspace) -> int:
        """Return how many threads may grow trees."""
        return self.workers or place.settings.workers or os.cpu_count() or 1


def settled(task: Task, wish: Wish) -> tuple[zoo.Entry, dict[str, Any]]:
    """Return the model that a wish names and its parameters, refusing what no fit could use."""
    entry = zoo.find(wish.model_type, task.name)
    check(wish)
    parameters = {key: plain(key, value) for key, value in wish.parameters.items()}
    zoo.create(entry, wish.seed, parameters, task)
    return entry, parameters


def check(wish: Wish) -> None:
    """Refuse a name or a seed that no model can have."""
    if wish.name is not None:
        check_name(wish.name)
    seed = wish.seed
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise InvalidInput(f"seed must be a whole number from 0 to 2**32 - 1; got {seed!r}")


def plain(name: str, value: Any) -> Any:
    """Return a parameter as the model's description can record it, with NumPy's numbers plain."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {plain(name, key): plain(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(name, item) for item in value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise InvalidInput(
        f"the parameter {name!r} is a {type(value).__name__}, which no model can record; pass "
        "numbers, text, or lists of them"
    )
