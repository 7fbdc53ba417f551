"""What if: how a model's answer to a record changes when some of its values do."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.ml.evaluation.shown import written
from lepton_ai.ml.explanation.explainer import Explainer
from lepton_ai.ml.explanation.output import plain
from lepton_ai.ml.explanation.space import TableSpace

__all__ = ["WhatIf", "check_columns", "what_if"]


class WhatIf(Struct, frozen=True):
    """A record's answer, and that to the changed record.

    Attributes:
        model: its reference.
        changes: the columns that were changed, from which value to which.
        before: what the model answers to the record.
        after: what it answers to the changed one.
        names: of the answers.
        differences: how much each answer rises.
    """

    model: str
    changes: dict[str, tuple[Any, Any]]
    before: dict[str, Any]
    after: dict[str, Any]
    names: tuple[str, ...]
    differences: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    def __str__(self) -> str:
        rows = [
            (name, written(value)) for name, value in zip(self.names, self.differences, strict=True)
        ]
        told = ", ".join(f"{name}: {a} -> {b}" for name, (a, b) in self.changes.items())
        return f"{self.model}, {told}\n{self.before}\n{self.after}\n" + aligned(
            ("answer", "change"), rows, (1,)
        )


def what_if(explainer: Explainer, record: Mapping[str, Any], changes: Mapping[str, Any]) -> WhatIf:
    """Ask about a record twice: as it is, and with some values changed.

    Raises:
        InvalidInput: the model takes no records, a column is unknown, or nothing is changed.
    """
    space = explainer.space
    if not isinstance(space, TableSpace) or not isinstance(record, Mapping):
        raise InvalidInput("what_if changes the columns of a record; this model or row has none")
    if not changes:
        raise InvalidInput(
            f"nothing is changed; give columns with their new values, such as "
            f"what_if(record, {space.names[0]}=...)"
        )
    check_columns(changes, space.names)
    changed = {**record, **changes}
    answers = explainer.predictor.run(space.features([record, changed]))
    outcome = explainer.predictor.outcome
    names = outcome.names if len(outcome.names) == answers.shape[1] else ("score",)
    if answers.shape[1] != len(names):
        names = tuple(f"answer {place + 1}" for place in range(answers.shape[1]))
    return WhatIf(
        explainer.ref,
        {name: (record.get(name), value) for name, value in changes.items()},
        plain(outcome, answers[:1]),
        plain(outcome, answers[1:]),
        tuple(names),
        tuple((answers[1] - answers[0]).tolist()),
    )


def check_columns(names: Any, known: tuple[str, ...]) -> None:
    """Refuse names that are no columns of the model.

    Raises:
        InvalidInput: there is no such column; the message lists near names.
    """
    for name in names:
        if name not in known:
            near = get_close_matches(str(name), known, n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise InvalidInput(
                f"the model reads no column {name!r}; {hint}it reads: {', '.join(known[:20])}"
            )
