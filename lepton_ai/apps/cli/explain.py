"""`lepton explain`: why a registered model answers as it does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from lepton_ai.apps.cli.inputs import value_of
from lepton_ai.apps.cli.output import as_json, print_json, print_table
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.decode import decode_upload
from lepton_ai.ml.explanation.asking import pixels_of
from lepton_ai.ml.explanation.counterfactual import counterfactuals
from lepton_ai.ml.explanation.dependences import dependence
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.ml.explanation.importances import importance
from lepton_ai.ml.explanation.stabilities import stability
from lepton_ai.ml.model import Model
from lepton_ai.ml.registry import get

__all__ = ["explain"]

_MOST = 32


@click.command()
@click.argument("model")
@click.argument("inputs", nargs=-1)
@click.option("--about", help="The class, cluster or series; else what each row is answered.")
@click.option(
    "--method",
    type=click.Choice(["auto", "own", "exact", "sampled", "gradients"]),
    default="auto",
    show_default=True,
    help="How contributions are found.",
)
@click.option("--samples", type=int, help="Pairs of orders behind sampled contributions.")
@click.option("--data", "dataset", help="On the whole: a dataset instead of the prototypes.")
@click.option("--dependence", "column", help="How the mean answer depends on this column.")
@click.option("--what-if", "changes", multiple=True, metavar="NAME=VALUE",
              help="The answer with this value changed; may be repeated.")  # fmt: skip
@click.option("--counterfactual", is_flag=True, help="The nearest records answered otherwise.")
@click.option("--wanted", help="Counterfactuals: the label to reach.")
@click.option("--at-least", type=float, help="Counterfactuals: the value to reach.")
@click.option("--at-most", type=float, help="Counterfactuals: the value to fall to.")
@click.option("--immutable", multiple=True, help="Counterfactuals: a column that stays.")
@click.option("--most-changes", type=int, default=3, show_default=True,
              help="Counterfactuals: columns that change together, at most.")  # fmt: skip
@click.option("--stability", "stable", is_flag=True, help="How far the explanation holds.")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path),
              help="A folder to write the plots of the first row to, as PNG.")  # fmt: skip
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
              help="A file to write the first row's explanation to, as a page.")  # fmt: skip
@as_json
def explain(
    model: str,
    inputs: tuple[str, ...],
    about: str | None,
    method: Any,
    samples: int | None,
    dataset: str | None,
    column: str | None,
    changes: tuple[str, ...],
    counterfactual: bool,
    wanted: str | None,
    at_least: float | None,
    at_most: float | None,
    immutable: tuple[str, ...],
    most_changes: int,
    stable: bool,
    plots: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Explain MODEL on the whole, or its answers to INPUTS: records, a table or images.

    \b
    lepton explain risk --data patients --dependence age
    lepton explain risk '{"age": 63, "smoker": true}' --what-if smoker=false
    lepton explain risk '{"age": 63, "smoker": true}' --counterfactual --immutable age
    lepton explain chest scan.dcm --plots pictures
    """
    chosen = get(model)
    if not inputs:
        data = None if dataset is None else open_dataset(dataset, chosen.workspace)
        found: Any = (
            importance(chosen, data, about=about)
            if column is None
            else dependence(chosen, column, data, about=about)
        )
        if plots is not None:
            _save(found.plots(), plots)
        _show([found], as_json=as_json, one=True)
        return
    rows, one = _rows(chosen, inputs)
    if changes or counterfactual or stable:
        if len(rows) != 1:
            raise click.UsageError(f"these options are about one row; {len(rows)} were given")
        if changes:
            found = chosen.what_if(rows[0], dict(map(_change, changes)))
        elif stable:
            found = stability(chosen, rows[0], about=about)
        else:
            near = counterfactuals(
                chosen,
                rows[0],
                wanted,
                at_least=at_least,
                at_most=at_most,
                immutable=immutable,
                most_changes=most_changes,
            )
            if not near and not as_json:
                click.echo(
                    f"No plausible change of up to {most_changes} columns was found that brings "
                    f"what is wanted; try --most-changes {2 * most_changes}"
                )
            _show(near, as_json=as_json, one=False)
            return
        _show([found], as_json=as_json, one=True)
        return
    explanations = chosen.explainer.explain(rows, about=about, method=method, samples=samples)
    _written(explanations, plots, report)
    _show(explanations, as_json=as_json, one=one)


def _rows(model: Model, inputs: Sequence[str]) -> tuple[list[Any], bool]:
    value = value_of(inputs)
    preparation = model.predictor.preparation
    files = isinstance(value, list) and any(isinstance(item, Path) for item in value)
    if files != (preparation.meta is not None):
        takes = "image files" if preparation.meta is not None else "a table file or records as JSON"
        raise InvalidInput(f"{model.ref} takes {takes}; got {', '.join(inputs[:3])}")
    if files:
        limit = model.workspace.settings.max_image_bytes
        decoded = [decode_upload(path.read_bytes(), limit=limit) for path in value]
        rows: list[Any] = list(
            pixels_of(preparation, [array for array, _ in decoded], [meta for _, meta in decoded])
        )
        return rows, len(rows) == 1
    rows, one = model.rows(value)
    if len(rows) > _MOST:
        click.echo(f"The first {_MOST} of {len(rows)} rows are explained.", err=True)
    return rows[:_MOST], one


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--what-if takes NAME=VALUE, such as age=50; got {text!r}")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _written(explanations: list[Explanation], plots: Path | None, report: Path | None) -> None:
    if not explanations:
        return
    if plots is not None:
        for path in explanations[0].save_plots(plots):
            click.echo(f"Plot: {path}", err=True)
    if report is not None:
        click.echo(f"Report: {explanations[0].report(report)}", err=True)


def _save(figures: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")
        click.echo(f"Plot: {folder / name}.png", err=True)


def _show(found: Sequence[Any], *, as_json: bool, one: bool) -> None:
    if as_json:
        given = [each.to_dict() for each in found]
        print_json(given[0] if one else given)
        return
    for place, each in enumerate(found):
        if place:
            click.echo()
        if hasattr(each, "__rich__"):
            print_table(each)
        else:
            click.echo(str(each))
