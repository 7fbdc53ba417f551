"""`lepton predict`: ask a deployed model."""

from pathlib import Path
from typing import Any

import click
import msgspec
import polars as pl

from lepton_ai.apps.cli.answers import outlined
from lepton_ai.apps.cli.inputs import value_of
from lepton_ai.apps.cli.output import as_json, print_json, print_rows
from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.serving.client import Prediction
from lepton_ai.serving.deployment import deployment

__all__ = ["predict"]


@click.command()
@click.argument("endpoint")
@click.argument("inputs", nargs=-1, required=True)
@as_json
def predict(endpoint: str, inputs: tuple[str, ...], as_json: bool) -> None:
    """Ask ENDPOINT about INPUTS: image files, a table file, or records as JSON.

    For a model of volumes, a folder holds the DICOM slices of one.

    \b
    lepton predict chest scan-1.dcm scan-2.dcm
    lepton predict hippocampus volume.nii.gz folder-of-slices
    lepton predict risk patients.csv
    lepton predict risk '{"age": 63, "smoker": true}'
    """
    live = deployment(endpoint)
    value = value_of(inputs)
    signature = live.signature()
    files = isinstance(value, list) and any(isinstance(item, Path) for item in value)
    if files != (signature.kind == "image"):
        takes = "image files" if signature.kind == "image" else "a table file or records as JSON"
        raise InvalidInput(f"{endpoint!r} takes {takes}; got {', '.join(inputs[:3])}")
    if isinstance(value, pl.DataFrame):
        value = _wanted(value, signature)
    asked = [live.predict(part) for part in (value if files else [value])]
    answers = [row for part in asked for row in (part if isinstance(part, list) else [part])]
    names = inputs if len(inputs) == len(answers) else range(1, len(answers) + 1)
    rows = [_row(name, answer) for name, answer in zip(names, answers, strict=True)]
    if as_json:
        print_json(answers)
        return
    print_rows(rows, as_json=False, empty="no rows")
    if answers:
        click.echo(f"\nNext: lepton trace {answers[0].id}")


def _wanted(frame: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Leave out columns that the model does not take, such as the one it was to learn."""
    columns = {field.name for field in signature.inputs}
    extra = [name for name in frame.columns if name not in columns]
    if signature.kind != "table" or not extra:
        return frame
    click.echo(f"Left out, for the model does not take them: {', '.join(extra)}", err=True)
    return frame.drop(extra)


def _row(name: object, answer: Prediction) -> dict[str, Any]:
    said = outlined(msgspec.to_builtins(answer))
    return {
        "input": str(name),
        "answer": said.answer,
        said.title: said.details,
        "prediction": answer.id,
    }
