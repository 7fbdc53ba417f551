"""YAML text that people write: read safely, with errors that say what is wrong with it."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lepton_ai.core.errors import InvalidInput, NotFound

__all__ = ["read_yaml"]


def read_yaml(source: str | Path, what: str, *, most: int) -> Any:
    """Return what YAML says: that of a path, or the text itself.

    Words are words: only true and false are truth values, dates and times are text, and so is what
    begins with a zero, such as the code 012.

    Args:
        what: it holds, in messages, such as ``rules``.
        most: characters.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no YAML, too long, refers to parts of itself, or has a key twice.
    """
    whole = isinstance(source, str) and "\n" in source
    text = str(source) if whole else _text(Path(source), what, most + 1)
    if len(text) > most:
        raise InvalidInput(f"{what} may have {most:,} characters; here are more")
    try:
        for event in yaml.parse(text, Loader=_Loader):
            # Anchors could make a small file large; what people write needs none.
            if isinstance(event, yaml.AliasEvent):
                raise InvalidInput(f"{what}: write without anchors and aliases (& and *)")
            if getattr(event, "tag", None):
                raise InvalidInput(f"{what}: write without tags ({event.tag})")
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{what}: this is no YAML: {error}") from error


def _text(path: Path, what: str, most: int) -> str:
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            return file.read(most)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path} with {what}") from error
    except (ValueError, RuntimeError, OSError) as error:  # no UTF-8, a NUL, nobody's home
        raise InvalidInput(f"{path} cannot be read as text: {error}") from error


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads words as words, and no key twice.

    Else ``on``, the key of joins, and ``no``, a country, would be truth values.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping, of which no key is there twice: the first would be lost."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        seen: set[str] = set()
        for key in keys:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


# As JSON writes them, and what is infinite.
_INTEGER = r"[-+]?(?:0|[1-9][0-9]*)"
_FORMS = {
    "bool": "true|false",
    "int": _INTEGER,
    "float": rf"(?:{_INTEGER}(?:\.[0-9]*)?|[-+]?\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
}
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, form) for tag, form in forms if tag.rpartition(":")[2] not in {*_FORMS, "timestamp"}
    ]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _form in _FORMS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_form})$"), list("tf-+.0123456789")
    )
