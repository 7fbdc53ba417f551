"""Model cards (Mitchell et al., 2019), filled from facts alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.evaluation.shown import between, written
from lepton_ai.ml.evaluation.stored import stored
from lepton_ai.ml.outcome import Classes, Clusters, Scores, Values
from lepton_ai.ml.preparation import Preparation

__all__ = ["render"]

_FEW = 20


def render(
    description: Description,
    preparation: Preparation,
    *,
    version: int | None = None,
    aliases: Sequence[str] = (),
    evaluations: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return a model's card in Markdown.

    Args:
        description: of the model.
        preparation: of its inputs.
        version: in the registry, once it has one.
        aliases: that mean this version.
        evaluations: the facts of each evaluation's node, oldest first.
    """
    about, data = description, description.trained_on
    title = about.name if version is None else f"{about.name}, version {version}"
    known_as = f" Aliases: {', '.join(map(_code, aliases))}." if aliases else ""
    parts = [
        f"# {_line(title)}",
        f"{_purpose(about)}{known_as}",
        *([] if about.origin is None else about.origin.sections()),
        "## Training data",
        _list(
            [
                f"dataset {_code(data.dataset)}: {data.rows} rows"
                + (f" of {data.groups} groups" if data.groups is not None else ""),
                *(f"class {_code(label)}: {count} rows" for label, count in data.classes.items()),
                f"SHA-256 of features and labels: {_code(data.content)}",
            ]
        ),
        "## Inputs",
        _list(_inputs(about, preparation)),
        "## Training",
        _list(
            [
                f"seed {about.seed}",
                *(f"{_code(k)} = {_code(v)}" for k, v in sorted(about.settings.items())),
                *(f"{name} {number}" for name, number in about.environment.items()),
            ]
        ),
        "## Served form",
        _served(about),
        "## Evaluation",
        "\n\n".join(map(_evaluation, evaluations)) or "Not evaluated yet.",
    ]
    if about.notes:
        parts += ["## Limits", _list(about.notes)]
    return "\n\n".join(parts) + "\n"


def _purpose(about: Description) -> str:
    """Say what the model gives, in a sentence."""
    names = ", ".join(map(_code, about.classes[:_FEW]))
    names += f" and {len(about.classes) - _FEW} more" if len(about.classes) > _FEW else ""
    model, outcome = about.model_type, about.outcome
    if isinstance(outcome, Classes):
        return f"A classifier ({model}) that tells {outcome.width} classes apart: {names}."
    if isinstance(outcome, Clusters):
        return f"A clusterer ({model}) that tells {outcome.width} groups apart: {names}."
    if isinstance(outcome, Scores):
        limit = f"{outcome.threshold:.6g}"
        return f"An anomaly detector ({model}); scores from {limit} on are labelled `anomaly`."
    if isinstance(outcome, Values):
        purpose = f"A regressor ({model}) that predicts {names}."
        if outcome.level is None:
            return purpose
        return f"{purpose} {outcome.level:.0%} of its intervals are to hold the truth."
    return f"A forecaster ({model}) of the next {outcome.steps} steps of {names}."


def _inputs(about: Description, preparation: Preparation) -> list[str]:
    encoding = preparation.encoding
    lines = [
        f"{_code(field.name)}: {field.datatype}, shape {list(field.shape)}"
        for field in about.signature.inputs
    ]
    for step in preparation.transforms:
        told = to_builtins(step)
        name = told.pop("type")
        lines.append(f"transform: {name}" + "".join(f", {k} {v}" for k, v in told.items()))
    if preparation.front is not None:
        for made in preparation.front.recipe.steps:
            where = " (training rows only)" if made.rows else ""
            lines.append(f"recipe: {_code(made.explain())}{where}")
    lines += [f"step: {to_builtins(step)['type']}" for step in encoding.steps]
    lines += [f"left out: {_code(skip.column)}, {skip.reason}" for skip in encoding.skipped]
    return [*lines, f"features: {about.features}"]


def _served(about: Description) -> str:
    measured = "" if about.parity is None else f" Parity with the trained model: {about.parity}."
    held_out = about.trained_on.held_out
    rows = f" {held_out} of the rows were held out." if held_out and about.parity else ""
    if about.format == "onnx":
        return f"ONNX.{measured}{rows}"
    return f"{about.format}, because {_line(about.reason)}.{rows}"


def _evaluation(facts: Mapping[str, Any]) -> str:
    found = stored(facts["evaluation"])
    lines = [f"On {_code(found.data)}: {found.rows} rows"]
    lines[0] += f" of {found.groups} groups." if found.groups is not None else "."
    if found.about():
        lines[0] += f" Measured: {_code(found.about())}."
    if found.seen:
        lines.append(f"**{found.seen} of these rows equal rows that were trained on.**")
    rows = ["| figure | value | interval |", "|---|---|---|"]
    for field, name in found.names.items():
        value, interval = found.figures[field], found.intervals.get(field)
        if value is not None:
            shown = written(value, name.percent), between(interval, name.percent, value)
            rows.append(f"| {name.title} | {shown[0]} | {shown[1]} |")
    return "\n\n".join([*lines, "\n".join(rows)])


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(value: Any) -> str:
    """Names come from data: as code they cannot become markup."""
    return "`" + _line(str(value)).replace("`", "'") + "`"
