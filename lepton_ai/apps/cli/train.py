"""`lepton train`: split, train, register and measure in one command."""

from typing import Any

import click
import msgspec

from lepton_ai.apps.cli.output import as_json, console, print_json, print_table
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.split import split_data
from lepton_ai.ml import zoo
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.training import train_classifier

__all__ = ["train"]


class _Parameter(click.ParamType[tuple[str, Any]]):
    """An option written NAME=VALUE; the value is read as JSON, else as a word."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not NAME=VALUE, such as C=10", param, ctx)
        try:
            return key, msgspec.json.decode(text)
        except msgspec.DecodeError:
            return key, text


@click.command()
@click.argument("dataset")
@click.option(
    "--model",
    "model_type",
    default="random forest",
    show_default=True,
    help="A name or alias of the zoo, such as svm or knn; `lepton models zoo` lists them.",
)
@click.option("--target", help="Tables: the column of the labels.")
@click.option("--name", help="Name of the model; that of the dataset unless given.")
@click.option("--test-size", type=float, default=0.2, show_default=True, help="Share held out.")
@click.option("--group", help="Tables: the column whose equal values stay on one side.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--set",
    "parameters",
    type=_Parameter(),
    multiple=True,
    help="A parameter of the estimator, NAME=VALUE; may be repeated.",
)
@click.option("--recipe", help="Tables: the name of a kept recipe that columns go through first.")
@click.option("--raw", is_flag=True, help="Images: do not normalise and denoise them first.")
@as_json
def train(
    dataset: str,
    model_type: str,
    target: str | None,
    name: str | None,
    test_size: float,
    group: str | None,
    seed: int,
    parameters: tuple[tuple[str, Any], ...],
    recipe: str | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Train a classifier on part of DATASET, register it, and measure it on the rest.

    DATASET is a name, name:3, or the id of one side of a split.
    """
    zoo.find(model_type)
    data: Any = open_dataset(dataset)
    images = isinstance(data, ImageSet)
    if not images and target is None:
        columns = ", ".join(data.columns)
        raise click.UsageError(f"a table needs --target; its columns are: {columns}")
    if images and (target is not None or group is not None or recipe is not None):
        raise click.UsageError(
            "--target, --group and --recipe are for tables; images have labels of their own"
        )
    if images and not raw:
        data = preprocess_images(data)
    training, held_out = split_data(
        data, test_size, target=target, group=group or "auto", seed=seed
    )
    model = train_classifier(
        training,
        model_type=model_type,
        target=target,
        groups=group,
        name=name,
        seed=seed,
        recipe=recipe,
        **dict(parameters),
    )
    evaluation = evaluate(model, held_out)
    if as_json:
        print_json({"model": model.ref, "node": model.node, "evaluation": evaluation.to_dict()})
        return
    output = console()
    output.print(str(model), markup=False, soft_wrap=True)
    for note in training.split.notes:
        output.print(f"Note: {note}", markup=False, soft_wrap=True)
    output.print()
    print_table(evaluation)
    click.echo(f"\nNext: lepton deploy {model.name}")
