"""`lepton train`: split, train, register and measure in one command."""

import warnings
from typing import Any

import click
import msgspec
from sklearn.exceptions import ConvergenceWarning

from lepton_ai.apps.cli.output import as_json, console, print_json, print_table
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.split import split_data
from lepton_ai.ml import zoo
from lepton_ai.ml.doubts import DoubtfulData
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.guess import guess_task
from lepton_ai.ml.selection.choosing import is_auto
from lepton_ai.ml.selection.deciding import CALIBRATIONS
from lepton_ai.ml.task import TASKS
from lepton_ai.ml.training import train as train_task

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


class _Size(click.ParamType[float]):
    """A share such as 0.2, or a whole number of items."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value)
        return int(text) if text.isascii() and text.isdigit() else click.FLOAT(text, param, ctx)


class _Aim(click.ParamType[Any]):
    """A probability, or what to choose one by: recall=0.9, precision=0.8, costs=[[0,1],[5,0]]."""

    name = "aim"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "=" in str(value):
            key, wanted = _Parameter().convert(value, param, ctx)
            return {key: wanted}
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a probability nor such as recall=0.9", param, ctx)


@click.command()
@click.argument("dataset")
@click.option(
    "--task",
    type=click.Choice(["auto", *TASKS]),
    default="auto",
    show_default=True,
    help="What for; auto tells it from the target, --horizon and the data.",
)
@click.option(
    "--model",
    "model_type",
    help="A name or alias of the zoo, such as svm or knn; `lepton models zoo` lists them. "
    "auto compares many and takes the best, or an ensemble.",
)
@click.option("--target", multiple=True, help="The column to predict; for forecasts, the series.")
@click.option("--name", help="Name of the model; that of the dataset unless given.")
@click.option("--test-size", type=_Size(), default=0.2, show_default=True,
              help="Share held out, or a number of items.")  # fmt: skip
@click.option("--group", help="The column whose equal values belong together, such as a patient.")
@click.option("--time", help="The column of time: the latest rows are held out, or, with --group, "
              "the order of its rows.")  # fmt: skip
@click.option("--window", type=int, default=0, help="Steps of a series that the model sees.")
@click.option("--horizon", type=int, default=0, help="Forecasts: steps ahead.")
@click.option("--tune", is_flag=True, help="Search the model's parameters first.")
@click.option("--budget", type=float, help="Seconds for auto or --tune; 60 unless given.")
@click.option("--trials", type=int, help="Settings to draw instead, whatever time that takes.")
@click.option(
    "--threshold",
    type=_Aim(),
    help="Classes: the probability that labels begin at, or recall=0.9, precision=0.8, "
    "costs=[[0,1],[5,0]].",
)
@click.option(
    "--calibrate", type=click.Choice([*CALIBRATIONS]), help="Classes: mend the probabilities."
)
@click.option("--interval", type=float, help="Numbers: the share of intervals around them that "
              "hold the truth, such as 0.9.")  # fmt: skip
@click.option("--positive", help="Of two classes, the one that is looked for.")
@click.option("--balanced", is_flag=True, help="Classes weigh the same, however rare.")
@click.option("--contamination", type=float, help="Anomalies: their share of the training rows.")
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
    task: str,
    target: tuple[str, ...],
    test_size: float,
    group: str | None,
    time: str | None,
    window: int,
    horizon: int,
    seed: int,
    parameters: tuple[tuple[str, Any], ...],
    raw: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a model on part of DATASET, register it, and measure it on the rest.

    DATASET is a name, name:3, or the id of one side of a split.

    \b
    lepton train patients --target diagnosis --model "random forest"
    lepton train patients --target diagnosis --model auto --budget 60 --threshold recall=0.9
    lepton train houses --target price --model catboost
    lepton train engines --target life --group engine --time cycle --window 30 --model lstm
    lepton train visits --task detection
    lepton train flow --time moment --window 12 --horizon 12
    """
    data: Any = open_dataset(dataset)
    images = isinstance(data, ImageSet)
    if images and (target or group or given["recipe"] or time):
        raise click.UsageError(
            "--target, --group, --time and --recipe are for tables; images have labels of their own"
        )
    if not images and not target and not horizon and task == "auto":
        raise click.UsageError(
            f"a table needs --target; its columns are: {', '.join(data.columns)}. Without one, say "
            "--task clustering or --task detection, or --horizon for a forecast"
        )
    if images and data.labels is None and task == "auto":
        raise click.UsageError(
            f"the images of {data.ref} have no labels; import them with labels: lepton data import "
            "FOLDER --label TABLE.csv, or from a folder for each class. Without labels, say --task "
            "clustering or --task detection"
        )
    options: dict[str, Any] = {
        name: value
        for name, value in given.items()
        # No trial is a wish too: nothing is drawn then.
        if value or (name == "trials" and value is not None)
    } | {
        "seed": seed,
        **dict(parameters),
    }
    if horizon:
        options |= {"horizon": horizon, "history": window or horizon}
    elif window:
        options["window"] = window
    if target:
        options["target"] = list(target) if horizon else target[0]
    if task == "auto":
        task = guess_task(data, options)
    if given["model_type"] and not is_auto(given["model_type"]):
        zoo.find(given["model_type"], task)
    if images and not raw:
        data = preprocess_images(data)
    if group is not None:
        options["groups"] = group
    if time is not None:
        options["time"] = time
    training, held_out = split_data(
        data,
        test_size,
        target=options.get("target") if TASKS[task].labelled and not horizon else None,
        group=group or "auto",
        time=time if group is None else None,
        seed=seed,
    )
    with warnings.catch_warnings():
        if not as_json:
            # They are among the notes.
            warnings.simplefilter("ignore", DoubtfulData)
            warnings.simplefilter("ignore", ConvergenceWarning)
        model = train_task(training, task=task, **options)
    evaluation = evaluate(model, held_out)
    if as_json:
        print_json({"model": model.ref, "node": model.node, "evaluation": evaluation.to_dict()})
        return
    output = console()
    output.print(str(model), markup=False, soft_wrap=True)
    output.print()
    if model.description.leaderboard is not None:
        print_table(model.leaderboard())
        output.print()
    notes = (*training.split.notes, *model.description.notes)
    for note in notes:
        output.print(f"Note: {note}", markup=False, soft_wrap=True)
    if notes:
        output.print()
    print_table(evaluation)
    click.echo(f"\nNext: lepton deploy {model.ref}")
