"""Nested: the one type that lists and objects of JSON have in common.

It is found here and not by Polars, which would make one list of ``[0]`` and ``[{"a": 1}]``.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl

__all__ = ["Unlike", "common", "type_of"]

_SCALARS = {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String()}
_DEEPEST = 60

# None, a type of Python, what a list holds (a tuple of one), or the fields of an object.
Shape = Any


class Unlike(ValueError):
    """The values have no type in common."""


def common(shape: Shape, values: Iterable[Any]) -> Shape:
    """Return the shape of values and of those that a shape was found for, None at first.

    Raises:
        Unlike: there is none, or a value is none of JSON.
    """
    for value in values:
        shape = _merged(shape, value, 0)
    return shape


def type_of(shape: Shape) -> Any:
    """Return the Polars type of a shape; what is empty throughout is text.

    Raises:
        Unlike: an object never has a field.
    """
    if shape is None:
        return pl.String()
    if isinstance(shape, tuple):
        return pl.List(type_of(shape[0]))
    if isinstance(shape, dict):
        if not shape:
            raise Unlike("objects without fields")
        return pl.Struct({name: type_of(inner) for name, inner in shape.items()})
    return _SCALARS[shape]


def _merged(shape: Shape, value: Any, depth: int) -> Shape:
    if value is None:
        return shape
    if depth > _DEEPEST:
        raise Unlike(f"nested more than {_DEEPEST} deep")
    if isinstance(value, list):
        if shape is not None and not isinstance(shape, tuple):
            raise Unlike("lists and others")
        inner = shape[0] if shape else None
        for one in value:
            inner = _merged(inner, one, depth + 1)
        return (inner,)
    if isinstance(value, dict):
        if shape is not None and not isinstance(shape, dict):
            raise Unlike("objects and others")
        fields = shape if shape is not None else {}
        for name, one in value.items():
            fields[name] = _merged(fields.get(name), one, depth + 1)
        return fields
    kind = type(value)
    if kind not in _SCALARS or (kind is int and not -(2**63) <= value < 2**63):
        raise Unlike(f"a value that is no {shape}")
    if shape is None or shape is kind:
        return kind
    if (shape, kind) in ((int, float), (float, int)):
        return float
    raise Unlike("values of several types")
