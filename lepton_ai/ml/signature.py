"""What a model takes and gives, in the Open Inference Protocol's words."""

from typing import Literal

from msgspec import Struct

__all__ = ["Datatype", "Field", "Signature", "outputs_for"]

Datatype = Literal["BOOL", "INT64", "FP32", "FP64", "BYTES"]


class Field(Struct, frozen=True):
    """One named tensor.

    Attributes:
        name: the tensor's name; a column's name for tables.
        datatype: element type, as the protocol writes it; BYTES is UTF-8 text.
        shape: length of each axis, -1 where it is free; the first axis is the rows.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


class Signature(Struct, frozen=True):
    """The inputs and outputs of a model.

    Attributes:
        kind: whether rows are images, records with named columns, or one matrix ``X``.
        inputs: what a caller sends.
        outputs: what comes back, in order.
    """

    kind: Literal["image", "table", "array"]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


def outputs_for(classes: int) -> tuple[Field, ...]:
    """Return a classifier's outputs: ``label`` (rows), ``probabilities`` (rows, classes)."""
    return (Field("label", "BYTES", (-1,)), Field("probabilities", "FP64", (-1, classes)))
