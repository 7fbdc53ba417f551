"""`lepton demo`: the whole path, from files to a traced answer, in under a minute."""

import os
import shutil
import sys
import time
from pathlib import Path

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
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.training import train_classifier
from lepton_ai.serving.client import Prediction
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
    if data is None:
        records = _records(output)
        folder = workspace.home / "demo" / "phantoms"
        write_phantoms(folder)
    else:
        records, folder = None, data
    held_out, figures, live = _images(output, folder, generated=data is None)
    image, step = held_out[0], 2 if records is None else 3
    file = folder / image.paths[0]
    answer = _ask(output, live, file, image.label, step)
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
    _title(output, f"{step + 1}  What that answer was learned from")
    show_trace(workspace, answer.id, limit=2)
    _title(output, f"Done in {seconds:.0f} s. Try next")
    for arguments, meaning in _next(live, answer.id, file):
        output.print(f"  # {meaning}", style="dim", markup=False, soft_wrap=True)
        output.print(f"  {_program()} {arguments}", markup=False, soft_wrap=True)


def _records(output: Console) -> Evaluation:
    """Train on the breast cancer records that scikit-learn ships."""
    # Loading scikit-learn's data sets takes longer than the rest of this module.
    from sklearn.datasets import load_breast_cancer

    _title(output, "1  Clinical records: 569 real biopsies")
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
    _title(output, f"{2 if generated else 1}  Images: {name}")
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
    return test, evaluation, deploy_model(model)


def _ask(output: Console, live: Deployment, file: Path, label: str | None, step: int) -> Prediction:
    """Send a source file that was held out to the live endpoint, as a client would."""
    _title(output, f"{step}  A live, authenticated answer")
    answer = live.predict(file)
    assert isinstance(answer, Prediction)
    share = answer.probabilities[answer.label]
    output.print(f"POST {live.url}", markup=False, soft_wrap=True)
    output.print(
        f"{file.name}, held out of the training, labelled {label}: {answer.label} ({share:.0%})",
        markup=False,
        soft_wrap=True,
    )
    return answer


def _title(output: Console, text: str) -> None:
    output.print(f"\n{text}", style="bold", markup=False, soft_wrap=True)


def _line(what: str, evaluation: Evaluation) -> str:
    area = evaluation.figures["auc"]
    auc = f", AUC {area:.3f}" if area is not None else ""
    low, high = evaluation.intervals["accuracy"]
    return f"{what}: accuracy {evaluation:.3f} (95% interval {low:.3f} to {high:.3f}){auc}"


def _program() -> str:
    """Return how this program is called from here: it may not be on the path."""
    if shutil.which("lepton"):
        return "lepton"
    return os.path.relpath(Path(sys.executable).with_name("lepton"))


def _next(live: Deployment, prediction: str, file: Path) -> list[tuple[str, str]]:
    return [
        (f"trace {prediction} --all", "every source file behind that answer"),
        (f"models card {live.model}", "the model's card"),
        (f"evaluate {live.model}", "all figures, class by class"),
        (f"predict {live.name} {file}", "ask the live endpoint again"),
        ("demo --data FOLDER", "the same on your own images, one folder for each class"),
        ("status", "what is being served"),
        ("down", "stop the server"),
    ]
