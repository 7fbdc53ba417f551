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

    Only true and false are truth values, as in YAML 1.2, and dates are text.

    Args:
        what: it holds, in messages, such as ``rules``.
        most: characters.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no YAML, too long, refers to parts of itself, or has a key twice.
    """
    text = source if isinstance(source, str) and "\n" in source else _text(Path(source), what)
    if len(text) > most:
        raise InvalidInput(f"{what} may have {most:,} characters; here are {len(text):,}")
    try:
        # Anchors could make a small file large; what people write needs none.
        if any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=_Loader)):
            raise InvalidInput(f"{what}: write without anchors and aliases (& and *)")
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{what}: this is no YAML: {error}") from error


def _text(path: Path, what: str) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path} with {what}") from error
    except (UnicodeDecodeError, OSError) as error:
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


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith((":bool", ":timestamp"))]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
