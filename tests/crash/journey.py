"""The way from files to an endpoint, in phases; each runs in a process that may be killed."""

import csv
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.data.table import Table
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.learning import learn
from lepton_ai.ml.registry import get, register
from lepton_ai.ml.task import CLASSIFICATION
from lepton_ai.ml.wish import Wish
from lepton_ai.serving.client import Prediction
from lepton_ai.serving.deployment import deploy_model, deployment
from lepton_ai.storage import Node, Workspace

ENDPOINT = "live"
IMAGES, MORE_IMAGES, ROWS = 32, 6, 400
_COLUMNS = ["age", "dose", "pressure", "label"]

Say = Callable[..., None]


class Promise(Struct, frozen=True):
    """A node that a process said it had stored; ``content`` is what a rerun must give again."""

    id: str
    kind: str
    ref: str
    digest: str | None
    content: Any


class Chapter(Struct, frozen=True):
    """One data set on its way to the endpoint."""

    number: int
    source: Path
    model_type: str

    @property
    def dataset(self) -> str:
        return f"data-{self.number}"

    @property
    def model(self) -> str:
        return f"model-{self.number}"

    @property
    def is_table(self) -> bool:
        return self.source.suffix == ".csv"

    def write(self) -> None:
        """Make the files that are to be imported."""
        if not self.is_table:
            write_phantoms(self.source, IMAGES, self.number)
            return
        random = np.random.default_rng(self.number)
        values = random.normal(size=(ROWS, 3)).round(3)
        labels = np.where(values @ [1.0, -2.0, 0.5] > 0, "well", "ill")
        with self.source.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows([*row, label] for row, label in zip(values, labels, strict=True))

    def grow(self) -> None:
        """Change the source, so that the next import is another version of it."""
        if self.is_table:
            with self.source.open("a", newline="") as file:
                csv.writer(file).writerow([0.5, 0.5, 0.5, "ill"])
        else:
            more = self.source.with_name(f"{self.source.name}-more")
            write_phantoms(more, MORE_IMAGES, self.number + 100_000)
            for path in more.rglob("*.dcm"):
                path.rename(self.source / path.parent.name / f"more-{path.name}")

    def example(self) -> Any:
        """Return an input for the model."""
        if self.is_table:
            return dict(zip(_COLUMNS[:3], [0.1, -0.2, 0.3], strict=True))
        return min(self.source.rglob("*.dcm"))


def bring_in(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    read = read_table if chapter.is_table else read_images
    return [promise(workspace, read(chapter.source, name=chapter.dataset, workspace=workspace))]


def split(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    data = open_dataset(f"{chapter.dataset}:1", workspace)
    if not chapter.is_table:
        data = preprocess_images(data)
    target = "label" if chapter.is_table else None
    return [promise(workspace, side) for side in split_data(data, 0.25, target=target)]


def train(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    def marked(*args: Any) -> Node:
        say("register")
        return register(*args)

    wish = Wish(
        model_type=chapter.model_type,
        target="label" if chapter.is_table else None,
        name=chapter.model,
        keep=marked,
    )
    model = learn(CLASSIFICATION, _side(workspace, chapter, "train"), wish)
    return [promise(workspace, model)]


def measure(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    evaluation = evaluate(
        get(chapter.model, workspace), _side(workspace, chapter, "test"), resamples=50
    )
    assert evaluation.node is not None
    return [promise(workspace, workspace.lineage.get(evaluation.node))]


def deploy(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    deployed = deploy_model(f"{chapter.model}:1", ENDPOINT, workspace=workspace)
    return [promise(workspace, deployed)]


def rotate(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    workspace.keys.rotate()
    return []


def collect(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    # Something to collect: an object that nothing holds, as an interrupted program leaves.
    workspace.objects.put(f"nobody's {chapter.number}".encode() * 50)
    workspace.objects.collect(timedelta(0))
    return []


def ask(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    """Ask the endpoint until the server dies under it, promising a receipt of each answer."""
    endpoint = deployment(ENDPOINT, workspace=workspace)
    example = chapter.example()
    while True:
        answer = endpoint.predict(example)
        assert isinstance(answer, Prediction)
        say("answer", answer)


def prepare(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    """Go the way up to the endpoint in one process, promising each part when it is done."""
    promises = []
    for name in ("import", "split", "train", "evaluate"):
        kept = perform(name, workspace, say, chapter)
        say("kept", kept)
        promises += kept
    return promises


def everything(workspace: Workspace, chapter: Chapter, say: Say) -> list[Promise]:
    """Go the whole way in one process, as a user's program does."""
    return prepare(workspace, chapter, say) + perform("deploy", workspace, say, chapter)


def perform(name: str, workspace: Workspace, say: Say, chapter: Chapter) -> list[Promise]:
    """Go through one phase, saying its name first; return what is stored when it is over."""
    say(name)
    return PHASES[name](workspace, chapter, say)


PHASES: dict[str, Callable[[Workspace, Chapter, Say], list[Promise]]] = {
    "import": bring_in,
    "split": split,
    "train": train,
    "evaluate": measure,
    "deploy": deploy,
    "rotate": rotate,
    "collect": collect,
    "ask": ask,
    "prepare": prepare,
    "everything": everything,
}


def promise(workspace: Workspace, thing: Any) -> Promise:
    """Describe a node, or what has one, by all that is equal in every workspace of these keys."""
    node: Node = thing if isinstance(thing, Node) else thing.node
    own = ("dataset", "siblings", "table", "snapshot")  # ids that each workspace draws anew
    facts = {key: value for key, value in node.facts.items() if key not in own}
    if facts.get("format") == "table":
        rows = open_dataset(node.id, workspace)
        assert isinstance(rows, Table)
        facts["content"] = hashlib.sha256(rows.to_polars().write_csv().encode()).hexdigest()
    content = {"facts": facts, "holds": workspace.lineage.holds(node.id)}
    return Promise(node.id, node.kind, node.ref, node.digest, content)


def _side(workspace: Workspace, chapter: Chapter, side: str) -> Any:
    (node,) = workspace.lineage.list("split", f"{chapter.dataset}/{side}")
    return open_dataset(node.id, workspace)
