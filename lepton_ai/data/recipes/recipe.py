"""Recipe: a list of steps as data, fitted on training rows and then applied to any others."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data.recipes.engines import opened
from lepton_ai.data.recipes.fitting import apply_steps, fit_steps
from lepton_ai.data.recipes.join import joining_in
from lepton_ai.data.recipes.step import Step
from lepton_ai.data.recipes.steps import AnyStep

if TYPE_CHECKING:
    from lepton_ai.data.table import Table
    from lepton_ai.storage import Workspace

__all__ = ["Recipe"]


class Recipe(Struct, frozen=True, omit_defaults=True):
    """Steps in order; the same ones, fitted, give the same result on every table engine.

    Attributes:
        steps: what is done, first to last.
        reasons: why each step was proposed, for the first ones at least.
        fitted: whether the steps have learned what they need.
        counts: once fitted, the training rows before each step and after the last, None where
            counting them would have taken a pass of its own.
    """

    steps: tuple[AnyStep, ...]
    reasons: tuple[str, ...] = ()
    fitted: bool = False
    counts: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        """Take a list of steps too.

        Raises:
            InvalidInput: something in it is no step.
        """
        steps: Any = self.steps
        if isinstance(steps, Step) or not isinstance(steps, Iterable):
            raise InvalidInput(f"a recipe is a list of steps: Recipe([...]); got {steps!r}")
        steps = tuple(steps)
        odd = next((step for step in steps if not isinstance(step, AnyStep)), None)
        if odd is not None:
            raise InvalidInput(
                f"{odd!r} is no step; see lepton_ai.data.recipes for those there are"
            )
        msgspec.structs.force_setattr(self, "steps", steps)

    @classmethod
    def of(cls, *steps: Any) -> Self:
        """Return a recipe of these steps."""
        return cls(tuple(steps))

    def fit(self, data: Any) -> Self:
        """Return the recipe with what its steps learn from training rows.

        Args:
            data: a `Table`, or a frame of Polars (lazy or not), pandas, Arrow, DuckDB or Spark.

        Raises:
            InvalidInput: a step names columns that are not there, or that hold something else.
        """
        return self.fit_apply(data)[0]

    def fit_apply(self, data: Any) -> tuple[Self, Any]:
        """Fit, and return the fitted recipe and the training rows after it.

        The rows come back in the kind of frame that they came in.
        """
        frame, back, at_hand = opened(data)
        with joining_in(getattr(data, "workspace", None)):
            steps, counts, frame = fit_steps(self.steps, frame, at_hand=at_hand)
        fitted = type(self)(tuple(steps), self.reasons, fitted=True, counts=tuple(counts))
        return fitted, back(frame)

    def apply(self, data: Any, *, serving: bool = False) -> Any:
        """Return the rows after all steps, in the kind of frame that they came in.

        Args:
            data: as in `fit`.
            serving: leave out the steps that change which rows there are.

        Raises:
            InvalidInput: the recipe learns something and was not fitted.
        """
        if not self.fitted and any(step.learns for step in self.steps):
            raise InvalidInput("the recipe was not fitted; call fit with training rows first")
        frame, back, _ = opened(data)
        with joining_in(getattr(data, "workspace", None)):
            return back(apply_steps(self.steps, frame, serving=serving))

    def run(
        self, table: "Table | str", name: str, *, workspace: "Workspace | None" = None
    ) -> "Table":
        """Apply to a table of the workspace and store the result; see `run_recipe`."""
        from lepton_ai.data.recipes.stored import run_recipe

        return run_recipe(self, table, name, workspace=workspace)

    def then(self, *steps: Any) -> Self:
        """Return the recipe with more steps at the end; it is to be fitted again."""
        return self.insert(len(self.steps), *steps)

    def insert(self, place: int | str, *steps: Any) -> Self:
        """Return the recipe with steps put in front of one, by place from 0 or by name."""
        at = len(self.steps) if place == len(self.steps) else self._place(place)
        reasons = self._reasons()
        reasons[at:at] = [""] * len(steps)
        return self._edited((*self.steps[:at], *steps, *self.steps[at:]), reasons)

    def replace(self, place: int | str, step: Any) -> Self:
        """Return the recipe with another step in the place of one, by place or by name."""
        at = self._place(place)
        return self._edited((*self.steps[:at], step, *self.steps[at + 1 :]), self._reasons())

    def without(self, place: int | str) -> Self:
        """Return the recipe without a step, by place from 0 or by name, such as ``Impute``."""
        at = self._place(place)
        reasons = self._reasons()
        del reasons[at]
        return self._edited((*self.steps[:at], *self.steps[at + 1 :]), reasons)

    def _edited(self, steps: tuple[Any, ...], reasons: list[str]) -> Self:
        return type(self)(steps, tuple(reasons) if any(reasons) else ())

    def _reasons(self) -> list[str]:
        return [*self.reasons, *[""] * (len(self.steps) - len(self.reasons))]

    def _place(self, place: int | str) -> int:
        names = [type(step).__name__ for step in self.steps]
        if isinstance(place, str):
            found = [at for at, name in enumerate(names) if name.lower() == place.lower()]
            if len(found) == 1:
                return found[0]
            many = f"{len(found)} steps are {place}; say which by its place, one of {found}"
            raise InvalidInput(many if found else f"no step is {place!r}; there are {names}")
        if not -len(names) <= place < len(names):
            raise InvalidInput(f"there is no step at {place}; there are {len(names)}, from 0")
        return place % len(names)

    def to_json(self) -> bytes:
        """Return the recipe as JSON; equal recipes give equal bytes."""
        # Once around: a whole number given for a fraction is then written as one.
        same = msgspec.json.decode(msgspec.json.encode(self), type=type(self))
        return msgspec.json.encode(same, order="deterministic")

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a recipe back.

        Raises:
            Corrupt: the bytes are no recipe.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise Corrupt(f"not a recipe: {error}") from error

    def picture(self, path: Any) -> None:
        """Draw the recipe as a flow, into an SVG file."""
        Path(path).write_text(self._repr_svg_(), encoding="utf-8")

    def _repr_svg_(self) -> str:
        from lepton_ai.data.recipes.picture import draw

        return draw(self)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[AnyStep]:
        return iter(self.steps)

    def __str__(self) -> str:
        lines = [f"Recipe of {counted(len(self), 'step')}{', fitted' if self.fitted else ''}"]
        if self.counts and self.counts[0] is not None:
            lines[0] += f" on {counted(self.counts[0], 'row')}"
        for place, step in enumerate(self.steps):
            mark = f"  ({self.moved(place)})" if step.rows else ""
            lines.append(f"{place + 1:3}. {step.explain()}{mark}")
            if place < len(self.reasons) and self.reasons[place]:
                lines.append(f"     because {self.reasons[place]}")
        return "\n".join(lines)

    def moved(self, place: int) -> str:
        """Say of a step that changes rows how many it left, and whether it is for training."""
        before, after = (self.counts or (None,) * (len(self) + 1))[place : place + 2]
        what = "training rows only" if self.steps[place].alone else "rows"
        return what if before is None or after is None else f"{what}: {before:,} -> {after:,}"
