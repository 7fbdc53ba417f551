"""Rules written in YAML: one mapping a rule, read safely, with errors that say where."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.quality.rules import AnyRule, refuse_wrong

__all__ = ["read_rules", "write_rules"]

_LARGEST = 1_000_000


def read_rules(source: str | Path) -> list[AnyRule]:
    """Read rules from YAML: a path, or the text itself.

    Each rule is a mapping such as ``{rule: range, column: age, low: 0, high: 120}``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no YAML, or a rule is wrong; the message says which.
    """
    text = source if isinstance(source, str) and "\n" in source else _read(Path(source))
    if len(text) > _LARGEST:
        raise InvalidInput(f"rules may have {_LARGEST:,} characters; these have {len(text):,}")
    try:
        # Anchors could make a small file large; rules need none.
        if any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InvalidInput("rules are written without anchors and aliases (& and *)")
        values: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"the rules are no YAML: {error}") from error
    entries = values.get("rules") if isinstance(values, dict) else values
    if not isinstance(entries, list):
        raise InvalidInput("rules are a list, each such as: - {rule: not_null, column: age}")
    rules: list[AnyRule] = []
    for number, entry in enumerate(entries, 1):
        try:
            rule: AnyRule = msgspec.convert(entry, AnyRule)
        except msgspec.ValidationError as error:
            known = ", ".join(sorted(_NAMES))
            raise InvalidInput(f"rule {number}, {entry}: {error}; there are {known}") from error
        odd = set(entry) - {"rule", *type(rule).__struct_fields__}
        if odd:
            fields = ", ".join(type(rule).__struct_fields__)
            raise InvalidInput(f"rule {number}, {entry}: {sorted(odd)} unknown; it has {fields}")
        refuse_wrong(rule)
        rules.append(rule)
    return rules


def write_rules(rules: Sequence[AnyRule]) -> str:
    """Return rules as YAML that `read_rules` reads."""
    entries = [msgspec.to_builtins(rule) for rule in rules]
    return str(yaml.safe_dump({"rules": entries}, sort_keys=False, allow_unicode=True))


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path} with rules") from error
    except (UnicodeDecodeError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as text: {error}") from error


_NAMES = {str(kind.__struct_config__.tag) for kind in AnyRule.__args__}
