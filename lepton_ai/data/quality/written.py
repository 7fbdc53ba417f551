"""Rules written in YAML: one mapping a rule, read safely, with errors that say where."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.yaml_text import read_yaml
from lepton_ai.data.quality.rules import AnyRule, sound

__all__ = ["read_rules", "write_rules"]

_LARGEST = 1_000_000


def read_rules(source: str | Path) -> list[AnyRule]:
    """Read rules from YAML: a path, or the text itself.

    Each rule is a mapping such as ``{rule: range, column: age, low: 0, high: 120}``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no YAML, or a rule is wrong; the message says which.
    """
    values: Any = read_yaml(source, "rules", most=_LARGEST)
    entries = values.get("rules") if isinstance(values, dict) else values
    if not isinstance(entries, list) or (isinstance(values, dict) and len(values) > 1):
        raise InvalidInput(
            "rules are a list, each such as: - {rule: not_null, column: age}; beside it is nothing"
        )
    rules: list[AnyRule] = []
    for number, entry in enumerate(entries, 1):
        try:
            rule: AnyRule = msgspec.convert(entry, AnyRule)
        except msgspec.ValidationError as error:
            known = ", ".join(sorted(_NAMES))
            raise InvalidInput(f"rule {number}, {entry}: {error}; there are {known}") from error
        odd = {*map(str, entry)} - {"rule", *type(rule).__struct_fields__}
        if odd:
            fields = ", ".join(type(rule).__struct_fields__)
            raise InvalidInput(f"rule {number}, {entry}: {sorted(odd)} unknown; it has {fields}")
        rules.append(sound(rule))
    return rules


def write_rules(rules: Sequence[AnyRule]) -> str:
    """Return rules as YAML that `read_rules` reads."""
    entries = [msgspec.to_builtins(rule) for rule in rules]
    return str(yaml.safe_dump({"rules": entries}, sort_keys=False, allow_unicode=True))


_NAMES = {kind.tag() for kind in AnyRule.__args__}
