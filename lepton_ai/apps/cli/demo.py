"""`lepton demo`: the whole path, from files to a traced answer, in under a minute."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lepton_ai.apps.cli.output import as_json, console, print_json
from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.apps.cli.trace import show_trace
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml.evaluating import evaluate
from lepton_ai.ml.evaluation import Evaluation
from lepton_ai.ml.training import train_classifier
from lepton_ai.serving.deployment import Deployment, deploy_model
from lepton_ai.storage import Workspace

__all__ = ["demo"]


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Your own folder of images, with a folder for each class.",
)
@as_json
def demo(data: Path | None, as_json: bool) -> None:
    """Run the whole path on real clinical records and generated images, or on your images.

    It ends with a live endpoint behind a token, an answer from it, and what that answer was
    learned from. `lepton down` stops the server afterwards.
    """
    started = time.monotonic()
    output = Console(quiet=True) if as_json else console()
    workspace = Workspace.open()
    with ExitStack() as stack:
        if data is None:
            records = _records(output)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "phantoms"
            write_phantoms(folder)
        else:
            records, folder = None, data
        images, figures, live = _images(output, folder, generated=data is None)
        answer = _ask(output, live, images)
    seconds = time.monotonic() - started
    if as_json:
        print_json(
            {
                "records": records and records.to_dict(),
                "images": figures.to_dict(),
                "endpoint": live.url,
                "answer": answer,
                "seconds": round(seconds, 1),
            }
        )
        return
    output.rule("4  What that answer was learned from", align="left")
    show_trace(workspace, answer.id, limit=2)
    output.rule(f"Done in {seconds:.0f} s. Try next", align="left")
    for command, meaning in _next(live, answer.id):
        output.print(f"  {command:<52} {meaning}", markup=False, highlight=False, soft_wrap=True)


def _records(output: Console) -> Evaluation:
    """Train on the breast cancer records that scikit-learn ships."""
    # Loading scikit-learn's data sets takes longer than the rest of this module.
    from sklearn.datasets import load_breast_cancer

    output.rule("1  Clinical records: 569 real biopsies", align="left")
    bunch = load_breast_cancer()
    columns = {
        name.replace(" ", "_"): values
        for name, values in zip(bunch.feature_names.tolist(), bunch.data.T, strict=True)
    }
    columns["diagnosis"] = bunch.target_names[bunch.target]
    table = read_table(columns, name="demo-biopsies")
    train, test = split_data(table, test_size=0.2, target="diagnosis")
    model = train_classifier(train, model_type="random forest", target="diagnosis")
    evaluation = evaluate(model, test, positive="malignant")
    output.print(_line(f"{model.ref}, a random forest on {len(train)} records", evaluation))
    return evaluation


def _images(
    output: Console, folder: Path, *, generated: bool
) -> tuple[ImageSet, Evaluation, Deployment]:
    name = "generated DICOM study (phantoms, no patients)" if generated else str(folder)
    output.rule(f"{2 if generated else 1}  Images: {name}", align="left")
    images = read_images(folder, name="demo-phantoms" if generated else None)
    if images.labels is None:
        raise InvalidInput(
            f"the images of {folder} have no labels; put them in one folder for each class, or "
            "add a labels.csv with the columns file and label"
        )
    images = preprocess_images(images)
    output.print(str(images.summary()), markup=False, soft_wrap=True)
    train, test = split_data(images, test_size=0.2)
    model = train_classifier(train, model_type="SVM")
    evaluation = evaluate(model, test)
    output.print(_line(f"{model.ref}, a support vector machine", evaluation))
    output.print(f"served as {model.node.facts['format']}, signed, in the registry", style="dim")
    return images, evaluation, deploy_model(model)


def _ask(output: Console, live: Deployment, images: ImageSet) -> Any:
    """Send one of the source files to the live endpoint, as a client would."""
    output.rule("3  A live, authenticated answer", align="left")
    image = images[0]
    source = Path(images.folder) / image.paths[0]
    answer = live.predict(source)
    share = answer.probabilities[answer.label]
    output.print(f"POST {live.url}", markup=False, soft_wrap=True)
    output.print(
        f"{source.name}: {answer.label} ({share:.0%}); labelled {image.label}; "
        f"prediction {answer.id}",
        markup=False,
        soft_wrap=True,
    )
    return answer


def _line(what: str, evaluation: Evaluation) -> str:
    auc = f", AUC {evaluation.auc:.3f}" if evaluation.auc is not None else ""
    low, high = evaluation.intervals["accuracy"]
    return f"{what}: accuracy {evaluation.accuracy:.3f} (95% interval {low:.3f} to {high:.3f}){auc}"


def _next(live: Deployment, prediction: str) -> list[tuple[str, str]]:
    return [
        (f"lepton trace {prediction}", "every source file behind that answer"),
        (f"lepton models card {live.model}", "the model's card"),
        (f"lepton evaluate {live.model}", "all figures, class by class"),
        (f"lepton predict {live.name} FILE.dcm", "ask the live endpoint"),
        ("lepton demo --data FOLDER", "the same on your own images"),
        ("lepton status", "what is being served"),
        ("lepton down", "stop the server"),
    ]
