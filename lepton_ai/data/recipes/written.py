"""Recipes written in YAML, for a person to edit: one mapping a step, with why it is there."""

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lepton_ai.core.errors import InvalidInput, NotFound
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
    text = source if isinstance(source, str) and "\n" in source else _text(Path(source))
    if len(text) > _LARGEST:
        raise InvalidInput(f"a recipe may have {_LARGEST:,} characters; this has {len(text):,}")
    try:
        # Anchors could make a small file large; recipes need none.
        if any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=_Loader)):
            raise InvalidInput("recipes are written without anchors and aliases (& and *)")
        whole: Any = _Loader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"the recipe is no YAML: {error}") from error
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


def _text(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path} with a recipe") from error
    except (UnicodeDecodeError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as text: {error}") from error


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads words as words: only true and false are truth values, as in YAML 1.2; dates are text.

    Else ``on``, the key of joins, and ``no``, a country, would be truth values.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith((":bool", ":timestamp"))]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


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
