"""Recipes written in YAML, for a person to edit: one mapping a step, with why it is there."""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.yaml_text import read_yaml
from lepton_ai.data.recipes.recipe import Recipe
from lepton_ai.data.recipes.steps import AnyStep

__all__ = ["read_recipe", "write_recipe"]

_LARGEST = 16_000_000
_KINDS: dict[str, Any] = {str(kind.__struct_config__.tag): kind for kind in AnyStep.__args__}


def write_recipe(recipe: Recipe) -> str:
    """Return a recipe as YAML that `read_recipe` reads, with all that it learned."""
    reasons = [*recipe.reasons, *[""] * len(recipe)]
    steps = []
    for step, because in zip(recipe.steps, reasons, strict=False):
        entry = msgspec.to_builtins(step)
        steps.append(entry | ({"because": because} if because else {}))
    whole: dict[str, Any] = {"steps": steps}
    if recipe.fitted:
        whole |= {"fitted": True, "counts": list(recipe.counts)}
    return str(yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def read_recipe(source: str | Path, *, fitted: bool = True) -> Recipe:
    """Read a recipe from YAML: a path, or the text itself.

    Each step is a mapping such as ``{step: impute, columns: [age], method: mean}``; ``because``
    says why it is there.

    Args:
        fitted: False for one that was edited: what it learned may not hold any more.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no YAML, or a step is wrong; the message says which.
    """
    whole: Any = read_yaml(source, "a recipe", most=_LARGEST)
    whole = {"steps": whole} if isinstance(whole, list) else whole
    if not isinstance(whole, dict) or not isinstance(whole.get("steps"), list):
        raise InvalidInput("a recipe has steps, each such as: - {step: impute, columns: [age]}")
    _refuse_unknown("a recipe", whole, ["steps", "fitted", "counts"])
    entries = [_entry(number, entry) for number, entry in enumerate(whole["steps"], 1)]
    reasons = tuple(because for _, because in entries)
    recipe = Recipe(tuple(step for step, _ in entries), reasons if any(reasons) else ())
    if not (fitted and whole.get("fitted")):
        return recipe
    try:
        counts = msgspec.convert(whole.get("counts", []), tuple[int | None, ...])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"counts are numbers of rows: {error}") from error
    return msgspec.structs.replace(recipe, fitted=True, counts=counts)


def _entry(number: int, entry: Any) -> tuple[Any, str]:
    """Return one step, and why it is there."""
    if not isinstance(entry, dict):
        raise InvalidInput(f"step {number} is {entry!r}; write such as {{step: deduplicate}}")
    kind = _KINDS.get(str(entry.get("step")))
    if kind is None:
        raise InvalidInput(
            f"step {number}: {entry.get('step')!r} is no step; there are {', '.join(_KINDS)}"
        )
    because = entry.get("because", "")
    if not isinstance(because, str):
        raise InvalidInput(f"step {number}, because: a sentence is wanted; got {because!r}")
    rest = {key: value for key, value in entry.items() if key != "because"}
    _refuse_unknown(f"step {number}, {entry['step']}", rest, ["step", *kind.__struct_fields__])
    try:
        return msgspec.convert(rest, AnyStep), because
    except msgspec.ValidationError as error:
        raise InvalidInput(f"step {number}, {entry['step']}: {error}") from error


def _refuse_unknown(what: str, given: dict[Any, Any], known: list[str]) -> None:
    odd = sorted(str(key) for key in given.keys() - {*known})
    if odd:
        raise InvalidInput(f"{what}: {', '.join(odd)} unknown; it has {', '.join(known)}")


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes each value out where it stands, and short lists in one line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Tell that nothing is written as a reference to what came before."""
        return True


def _sequence(dumper: yaml.SafeDumper, values: Any) -> Any:
    flat = all(not isinstance(value, dict | list | tuple) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flat)


_Dumper.add_representer(list, _sequence)
_Dumper.add_representer(tuple, _sequence)
