"""Model: one registered version, and what can be asked of it."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.imageset import Image, ImageSet
from lepton_ai.data.table import Table
from lepton_ai.ml.baseline import Baseline
from lepton_ai.ml.bundle.bundle import Bundle, write
from lepton_ai.ml.bundle.cards import render
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.ml.explanation.asking import rows_of
from lepton_ai.ml.explanation.changes import WhatIf, what_if
from lepton_ai.ml.explanation.explainer import Explainer, Method
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.preparing import features_of
from lepton_ai.ml.selection.leaderboard import Leaderboard
from lepton_ai.ml.task import TASKS
from lepton_ai.security.policy import Permission, allows
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Node, Workspace

__all__ = ["Model"]

_FEW = 12


class Model:
    """A version of a model in the registry; its files are read, and checked, when needed.

    Attributes:
        workspace: where it is stored.
        node: its node in the lineage.
    """

    def __init__(self, workspace: Workspace, node: Node) -> None:
        if node.kind != "model":
            raise InvalidInput(f"{node.ref} is a {node.kind}, not a model")
        self.workspace = workspace
        self.node = node

    @property
    def name(self) -> str:
        """The model's name."""
        return self.node.name

    @property
    def version(self) -> int:
        """The version, from 1."""
        return self.node.version or 1

    @property
    def ref(self) -> str:
        """``name:version``, by which :func:`lepton_ai.ml.registry.get` finds it."""
        return self.node.ref

    @property
    def aliases(self) -> list[str]:
        """The aliases that mean this version now, such as ``champion``."""
        known = self.workspace.lineage.aliases("model", self.name)
        return [alias for alias, version in known.items() if version == self.version]

    @property
    def bundle(self) -> Bundle:
        """The stored files; the signature is checked first.

        Raises:
            AccessDenied: the model learned from a column that whoever acts sees masked.
        """
        self.require()
        return self._files

    @cached_property
    def _files(self) -> Bundle:
        return Bundle(self.workspace, self.node)

    @cached_property
    def description(self) -> Description:
        """The facts of the model."""
        return self._files.description()

    @property
    def baseline(self) -> Baseline:
        """Reference statistics of the training, for drift; for whom `bundle` is."""
        return Baseline.from_json(self.bundle.read("baseline.json"))

    @cached_property
    def predictor(self) -> Predictor:
        """The loaded model in the form that is served."""
        return Predictor.load(self.workspace, self.node)

    @property
    def task(self) -> str:
        """What the model is for, such as ``classification``."""
        return self.description.task

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities' columns; else what is predicted."""
        return self.description.classes

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return self.description.signature

    def predict(self, data: Any) -> NDArray[Any]:
        """Return the prediction for each row; see :meth:`answers` for what ``data`` may be.

        A classifier, clusterer or anomaly detector gives labels, as text (rows,); a regressor
        gives values (rows,), a forecaster (rows, steps, series).
        """
        return self.description.outcome.predicted(self.answers(data))

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Return the probability of each class, (rows, classes), in the order of ``classes``.

        Raises:
            InvalidInput: the model gives no probabilities, or the data does not fit.
        """
        if TASKS[self.task].output != "probabilities":
            raise InvalidInput(
                f"{self.ref} does {self.task}, which has no probabilities; use predict() or "
                "answers()"
            )
        return self.answers(data)

    def answers(self, data: Any) -> NDArray[np.float64]:
        """Return what the model gives for each row, float64 (rows, width).

        That is a probability for each class, a membership for each cluster, the value, the score
        of anomaly, or the steps of each series.

        Args:
            data: what the model was trained on the like of: an image set, one image or a list
                of them; a table, a frame, or a list of records (mappings from column name to
                value); rows of numbers. A table's target column may be there and is not read.

        Raises:
            InvalidInput: the data is of another kind, or does not fit.
            Corrupt: the stored model was altered.
        """
        return self.predictor.run(self.features(data))

    def features(self, data: Any) -> NDArray[np.float64]:
        """Return the features (rows, features) that the model reads of some data."""
        images = [data] if isinstance(data, Image) else data
        if isinstance(images, list) and images and all(isinstance(i, Image) for i in images):
            return self.predictor.features_from_images(
                [image.pixels for image in images], [image.meta for image in images]
            )
        said = self.description
        return features_of(
            self.predictor.preparation,
            data,
            said.hidden,
            groups=said.grouped_by,
            time=said.time,
        )

    @cached_property
    def explainer(self) -> Explainer:
        """What explains the model's answers, from what its bundle holds."""
        return Explainer.load(self.workspace, self.node, self.predictor)

    def explain(
        self,
        data: Any,
        *,
        about: str | None = None,
        method: Method = "auto",
        samples: int | None = None,
        seed: int = 0,
    ) -> Explanation | list[Explanation]:
        """Explain the answer to one row, or to each of many.

        Args:
            data: as for :meth:`answers`: one record, image or row of numbers, or many.
            about: the class, cluster or series to explain; by default what each row is answered.
            method: see `lepton_ai.ml.explanation.explainer.Explainer.explain`.
            samples: pairs of orders behind sampled values.
            seed: of the orders.

        Returns:
            An explanation for one row, a list of them for many.

        Raises:
            InvalidInput: the data does not fit, or the model cannot be explained that way.
        """
        rows, one = self.rows(data)
        found = self.explainer.explain(rows, about=about, method=method, samples=samples, seed=seed)
        return found[0] if one else found

    def rows(self, data: Any) -> tuple[list[Any], bool]:
        """Return data as rows that `explainer` reads, and whether it was one row."""
        said = self.description
        return rows_of(
            self.explainer.space,
            self.predictor.preparation,
            data,
            said.hidden,
            groups=said.grouped_by,
            time=said.time,
        )

    def what_if(
        self,
        record: Mapping[str, Any],
        changes: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> WhatIf:
        """Tell how the answer to a record changes with some of its values.

        Args:
            record: a mapping from column name to value.
            changes: the new values by column, where a name is no word of Python.
            values: the new values by column, such as ``age=50``.

        Raises:
            InvalidInput: the model takes no records, or reads no such column.
        """
        return what_if(self.explainer, record, {**(changes or {}), **values})

    def leaderboard(self) -> Leaderboard:
        """Return what the model was chosen among, and the honest figure of the choice.

        Raises:
            InvalidInput: it was named, not chosen.
        """
        found = self.description.leaderboard
        if found is None:
            raise InvalidInput(
                f"{self.ref} was not chosen among models: train with model_type='auto' or tune=True"
            )
        return found

    def training_data(self) -> ImageSet | Table:
        """Return the rows that the model was trained on, found by its lineage.

        Raises:
            NotFound: they are no longer stored.
        """
        node = self._training()
        if node is None:
            raise NotFound(f"{self.ref} was not trained here, so its rows are not stored")
        data = open_dataset(node.id, self.workspace)
        if isinstance(data, Table):
            return data
        return data.with_transforms(self.predictor.preparation.transforms)

    def _training(self) -> Node | None:
        parents = self.workspace.lineage.parents
        runs = [node for role, node in parents(self.node.id) if role == "run"]
        rows = [node for run in runs for role, node in parents(run.id) if role == "training"]
        return next(iter(rows), None)

    def require(self, columns: Sequence[str] | None = None) -> None:
        """Make sure that what the model learned of columns is for whoever acts to see.

        Its files hold categories, quantiles and rows of its training; answers do not.

        Args:
            columns: of the training data; None for all that it learned from.

        Raises:
            AccessDenied: they see one of them masked, or not at all.
        """
        node = self._training()
        if allows(current_principal(), Permission.ADMIN) or node is None:
            return
        data = open_dataset(node.id, self.workspace)
        if isinstance(data, Table):
            wanted = data.columns if columns is None else columns
            data.require(wanted, f"see what {self.ref} learned")

    def evaluations(self) -> list[Node]:
        """Return the nodes of the model's evaluations, oldest first."""
        children = self.workspace.lineage.children(self.node.id)
        return [node for role, node in children if node.kind == "evaluation"]

    def card(self) -> str:
        """Return the model card in Markdown, with all that is known of the model by now."""
        return render(
            self.description,
            self.predictor.preparation,
            version=self.version,
            aliases=self.aliases,
            evaluations=[node.facts for node in self.evaluations()],
        )

    def export(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write the bundle into a new or empty directory and return the files.

        Raises:
            Conflict: the directory holds something already.
            AccessDenied: the model learned from a column that whoever acts sees masked.
        """
        self.require()
        return write(self.workspace, self.node, directory)

    def __repr__(self) -> str:
        facts = self.node.facts
        return (
            f"Model {self.ref}: {facts['model_type']}, {_shown(facts['classes'])}, trained on "
            f"{facts['rows']} rows of {facts['dataset']}, served as {facts['format']}"
        )


def _shown(names: list[str]) -> str:
    return ", ".join(names if len(names) <= _FEW else [*names[:_FEW], f"{len(names)} in all"])
