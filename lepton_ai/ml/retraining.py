"""Retraining: a model's training, remembered so that it can be repeated on newer data."""

from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.split import split_data
from lepton_ai.data.transforms import transforms_from
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Values
from lepton_ai.ml.repeating import repeat, wish_of
from lepton_ai.ml.selection.choosing import Effort
from lepton_ai.ml.wish import Wish
from lepton_ai.storage import Node, Workspace

__all__ = ["Training"]


class Training(Struct, frozen=True):
    """All that a training was given, but for the rows.

    Attributes:
        dataset: node of the version that it read.
        selection: node of the part of it, where it was a part.
        description: of the model that came out.
        wish: what it was asked for.
        aliases: that meant the model.
    """

    dataset: Node
    selection: Node | None
    description: Description
    wish: Wish
    aliases: tuple[str, ...]

    @classmethod
    def of(cls, model: Model) -> Self:
        """Remember how a model was trained.

        Raises:
            InvalidInput: it was trained on rows picked by hand, or rows of bare numbers.
            Corrupt: the model was altered.
        """
        if model.signature.kind == "array":
            raise InvalidInput(f"{model.ref} learned from rows without names; train it yourself")
        lineage = model.workspace.lineage
        (run,) = (node for role, node in lineage.parents(model.node.id) if role == "run")
        (data,) = (node for role, node in lineage.parents(run.id) if role == "training")
        dataset, selection = data, None
        if data.kind == "split":
            dataset, selection = lineage.get(data.facts["dataset"]), data
            whole = data.facts["count"] == dataset.facts.get("rows", dataset.facts.get("images"))
            if data.facts.get("report") is None and not whole:
                raise InvalidInput(
                    f"{model.ref} learned from {data.facts['count']} rows picked by hand; pick "
                    "them anew and train it yourself"
                )
        return cls(
            dataset,
            selection,
            model.description,
            wish_of(model),
            tuple(model.aliases),
        )

    def repeat(self, workspace: Workspace) -> Model:
        """Train again on the newest version of the same data, and register the next version.

        The split is drawn anew in the same way, and the aliases come to mean the new version.

        Raises:
            NotFound: the data is gone.
            InvalidInput: it cannot be learned from any more.
        """
        said = self.description
        name = self.dataset.name
        data: Any = open_dataset(name, workspace)
        if self.selection is not None:
            data = self._part(data)
        wish = replace(
            self.wish,
            model_type=said.model_type,
            parameters=said.parameters,
            groups=self.wish.groups if self._report is None else None,
            workspace=workspace,
            # The model that was chosen stays; threshold, calibration and intervals follow the rows.
            choice=None,
            effort=Effort(
                threshold=said.aim,
                calibrate=said.calibrate,
                positive=said.outcome.positive if isinstance(said.outcome, Classes) else None,
                interval=said.outcome.level if isinstance(said.outcome, Values) else None,
            ),
        )
        model = repeat(said.task, data, wish)
        with workspace.transaction() as transaction:
            for alias in self.aliases:
                transaction.alias(model.node, alias)
        return model

    @property
    def _report(self) -> dict[str, Any] | None:
        return None if self.selection is None else self.selection.facts.get("report")

    def _part(self, data: Any) -> Any:
        assert self.selection is not None
        facts = self.selection.facts
        if "columns" in facts:
            data = data[facts["columns"]]
        if facts.get("transforms"):
            data = data.with_transforms(transforms_from(facts["transforms"]))
        report = self._report
        if report is None:
            return data
        train, test = split_data(
            data,
            report["wanted"] / (report["train"] + report["test"]),
            target=self.description.target,
            group=report["grouped_by"],
            stratify=bool(report["classes"]),
            time=report.get("ordered_by"),
            seed=report["seed"],
        )
        return test if facts["side"] == "test" else train
