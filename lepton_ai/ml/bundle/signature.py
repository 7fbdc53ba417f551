"""What a model takes and gives, in the Open Inference Protocol's words."""

from typing import Literal

from msgspec import Struct

__all__ = ["Datatype", "Field", "Signature"]

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
        kind: whether rows are images, records with named columns, one matrix ``X``, or series:
            the last steps of something that goes on, each a record.
        inputs: what a caller sends.
        outputs: what comes back, in order.
    """

    kind: Literal["image", "table", "array", "series"]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
