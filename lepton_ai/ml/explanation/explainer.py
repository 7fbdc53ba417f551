"""Explainer: one model, loaded from its bundle, that says why it answers as it does.

It needs the served form and the basis of the bundle: no estimator, no training row, and of
scikit-learn nothing where the model is served without it. A leaf of `ml` but for what serves.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.bundle.bundle import Bundle
from lepton_ai.ml.explanation import methods
from lepton_ai.ml.explanation.basis import Basis
from lepton_ai.ml.explanation.explanation import Contribution, Explanation, Heat
from lepton_ai.ml.explanation.forest import Forest, forest_of
from lepton_ai.ml.explanation.methods import Found
from lepton_ai.ml.explanation.output import Output, output_of, plain
from lepton_ai.ml.explanation.space import ArraySpace, TableSpace, space_of
from lepton_ai.ml.explanation.terms import Linear
from lepton_ai.ml.explanation.tree_shapley import Paths, paths_of
from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.task import TASKS
from lepton_ai.storage import Node, Workspace

__all__ = ["BASIS", "WEIGHTS", "Explainer", "Method"]

Matrix = NDArray[np.float64]
Method = Literal["auto", "own", "exact", "sampled", "gradients"]

BASIS = "explanation.json"
WEIGHTS = "model.safetensors"

# Rows of the model that a game over all coalitions may take.
_EXACT_ROWS = 2**16
_SAMPLED_ROWS = 2**15
_FEWEST_PAIRS = 4
# Numbers in memory at once.
_BLOCK = 2**22


class Explainer:
    """Explains one model; may be used from several threads at once.

    Attributes:
        ref: the model's name and version.
        predictor: the served form.
        basis: what explanations start from.
    """

    def __init__(
        self,
        ref: str,
        predictor: Predictor,
        basis: Basis,
        model: bytes,
        network: bytes | None = None,
    ) -> None:
        self.ref = ref
        self.predictor = predictor
        self.basis = basis
        self.network = network
        self._model = model

    @classmethod
    def load(cls, workspace: Workspace, node: Node, predictor: Predictor | None = None) -> Self:
        """Load what a model's bundle holds for explanations.

        Args:
            workspace: where the model is stored.
            node: of the model.
            predictor: of the same model, where it is loaded already.

        Raises:
            InvalidInput: the model was registered before bundles held that; train it again.
            Corrupt: the bundle was altered.
        """
        bundle = Bundle(workspace, node)
        if BASIS not in bundle.names:
            raise InvalidInput(
                f"{node.ref} was registered without {BASIS}, which explanations start from; train "
                "it again, and the new version explains itself"
            )
        return cls(
            node.ref,
            predictor or Predictor.load(workspace, node),
            Basis.from_json(bundle.read(BASIS)),
            bundle.model()[1],
            bundle.read(WEIGHTS) if WEIGHTS in bundle.names else None,
        )

    def over(self, basis: Basis) -> Self:
        """Return the explainer of the same model that starts from another basis."""
        other = type(self)(self.ref, self.predictor, basis, self._model, self.network)
        # The trees are the same, whatever rows they are asked about.
        vars(other).update(forest=self.forest, _paths=self._paths)
        return other

    @cached_property
    def space(self) -> TableSpace | ArraySpace:
        """The columns or regions that contributions are given to."""
        return space_of(self.predictor.preparation, self.basis)

    @cached_property
    def forest(self) -> Forest | None:
        """The trees of the model, where it is a sum of trees."""
        return forest_of(self.predictor.format, self._model, TASKS[self.predictor.task])

    @cached_property
    def _paths(self) -> dict[bytes, list[Paths] | None]:
        return {}

    def paths(self, owner: NDArray[np.int64]) -> list[Paths] | None:
        """Return the ways to the leaves with these owners of features, made once."""
        assert self.forest is not None
        key = owner.tobytes()
        if key not in self._paths:
            self._paths[key] = paths_of(self.forest, owner)
        return self._paths[key]

    def worth(self, row: Any, output: Output) -> methods.Game:
        """Return the game whose players are columns: the mean answer of a coalition."""
        space = self.space
        count = len(space.shares)
        block = max(1, _BLOCK // (count * space.background.shape[1]))

        def game(masks: NDArray[np.bool_]) -> Matrix:
            given = []
            for at in range(0, len(masks), block):
                part = masks[at : at + block]
                answers = output.of(self.predictor.run(space.mixed(row, part)))
                given.append(answers.reshape(len(part), count) @ space.shares)
            return np.concatenate(given)[:, None]

        return game

    def explain(
        self,
        rows: Sequence[Any],
        *,
        about: str | None = None,
        method: Method = "auto",
        samples: int | None = None,
        seed: int = 0,
        answers: Matrix | None = None,
    ) -> list[Explanation]:
        """Explain the answer to each row.

        Args:
            rows: as the space holds them: records, or rows of numbers (places,).
            about: the class, cluster or series; by default what each row was answered.
            method: ``auto`` takes the model's own mathematics where it has one (``own``: terms,
                trees, gradients), else exact Shapley values where columns are few, else
                ``sampled`` ones. ``gradients`` asks for integrated gradients of a network.
            samples: pairs of orders behind sampled values; by default as many as 32768 rows allow.
            seed: of the orders.
            answers: the model's answers (rows, width), where they are known.

        Raises:
            InvalidInput: the model cannot be explained by that method, or a row does not fit.
        """
        if samples is not None and (isinstance(samples, bool) or samples < 2):
            raise InvalidInput(f"samples must be 2 or more; got {samples!r}")
        if method not in ("auto", "own", "exact", "sampled", "gradients"):
            raise InvalidInput(
                f"method must be auto, own, exact, sampled or gradients; got {method!r}"
            )
        features = self.space.features(rows)
        given = self.predictor.run(features) if answers is None else answers
        return [
            self._explained(row, features[at], given[at : at + 1], about, method, samples, seed)
            for at, row in enumerate(rows)
        ]

    def _explained(
        self,
        row: Any,
        features: Matrix,
        answer: Matrix,
        about: str | None,
        method: Method,
        samples: int | None,
        seed: int,
    ) -> Explanation:
        outcome = self.predictor.outcome
        output = output_of(outcome, about, answer[0])
        found: Found | None = None
        if method in ("auto", "own"):
            found = self._own(row, features, answer, output)
            if found is not None and not found.faithful:
                # What is served does more than the model's own mathematics: a recalibration, say.
                found = None
        if method == "gradients" or (found is None and method in ("auto", "own")):
            found = self._by_gradients(features, output, required=method == "gradients")
        if found is None and method == "own":
            raise InvalidInput(
                f"{self.ref} has no mathematics of its own to show for this data; use method='auto'"
            )
        if found is None:
            found = self._by_shapley(row, output, method, samples, seed)
        shown = self.space.shown(row)
        contributions = sorted(
            (
                Contribution(
                    name,
                    shown.get(name),
                    float(value),
                    None if found.errors is None else float(found.errors[place]),
                )
                for place, (name, value) in enumerate(
                    zip(self.space.names, found.values, strict=True)
                )
            ),
            key=lambda item: -abs(item.contribution),
        )
        return Explanation(
            model=self.ref,
            method=found.method,
            about=output.about,
            space=found.space,
            answer=found.total if math.isnan(found.answer) else found.answer,
            base=found.base,
            contributions=tuple(contributions),
            prediction=plain(outcome, answer),
            gap=found.gap,
            path=found.path,
            evidence=found.evidence,
            heat=self._heat(row, found),
            notes=found.notes,
        )

    def _own(self, row: Any, features: Matrix, answer: Matrix, output: Output) -> Found | None:
        """Explain by the mathematics of the model; None where it has none for this row."""
        terms = self.basis.terms
        if terms is None and self.forest is None:
            return None
        owner = self.space.owner_for(row)
        if owner is None:
            return None
        asked = methods.Asked(
            features, answer, output, self.predictor.outcome, owner, self.space.names
        )
        if isinstance(terms, Linear):
            return methods.linear(asked, terms, self.basis.mean.values)
        if terms is not None:
            return methods.naive_bayes(asked, terms)
        assert self.forest is not None
        return methods.trees(asked, self.forest, self.paths, self.space, self.predictor.preparation)

    def _by_gradients(self, features: Matrix, output: Output, *, required: bool) -> Found | None:
        """Explain by integrated gradients; None where there is no network, or no torch."""
        space = self.space
        owner = space.owner
        # Columns of a table get Shapley values instead, which need no baseline to go from.
        usable = self.network is not None and owner is not None
        if required and not usable:
            raise InvalidInput(f"{self.ref} has no gradients to follow; use method='auto'")
        columns = isinstance(space, TableSpace) or len(space.shape or ()) < 2
        if not usable or (not required and columns):
            return None
        assert self.network is not None
        assert owner is not None
        try:
            from lepton_ai.ml.explanation import gradients
        except ModuleNotFoundError as error:
            if required:
                raise InvalidInput(
                    f"gradients need {error.name}; run: pip install 'lepton-ai[deep]'"
                ) from error
            return None
        return gradients.integrated(
            self.network, features, space.shares @ space.background, output, owner, len(space.names)
        )

    def _by_shapley(
        self, row: Any, output: Output, method: Method, samples: int | None, seed: int
    ) -> Found:
        players, count = len(self.space.names), len(self.space.shares)
        game = self.worth(row, output)
        if method == "exact" and players > methods.MOST_EXACT:
            raise InvalidInput(
                f"exact values of {players} columns need 2 to the power of {players} coalitions; "
                f"at most {methods.MOST_EXACT} columns are taken: use method='sampled'"
            )
        everything = method == "exact" or (method == "auto" and samples is None)
        if everything and (method == "exact" or 2**players * count <= _EXACT_ROWS):
            return methods.shapley(game, players, output)
        pairs = samples or max(_FEWEST_PAIRS, _SAMPLED_ROWS // (2 * (players + 1) * count))
        return methods.shapley(game, players, output, pairs, seed)

    def _heat(self, row: Any, found: Found) -> Heat | None:
        space = self.space
        if not isinstance(space, ArraySpace) or space.shape is None or len(space.shape) < 2:
            return None
        shape = space.picture_shape
        if found.places is not None and not space.projected:
            values = found.places[: len(space.places)].reshape(space.shape)
        elif space.window:
            return None
        else:
            # Each place shares what its region adds.
            sizes = np.bincount(space.places, minlength=len(space.names))
            values = (found.values / sizes)[space.places].reshape(space.shape)
        if len(space.shape) > len(shape):
            values = values.sum(axis=-1)
        return Heat(
            shape,
            values.reshape(-1).tolist(),
            space.picture(row).reshape(-1).tolist(),
            space.names if space.window else (),
            None if found.activation is None else self._resized(found.activation, shape),
        )

    @staticmethod
    def _resized(activation: Matrix, shape: tuple[int, ...]) -> list[float] | None:
        if activation.shape != shape:
            return None
        values: list[float] = activation.reshape(-1).tolist()
        return values

    def with_receipt(self, explanation: Explanation, prediction_id: str) -> Explanation:
        """Return an explanation that names the receipt of the answer."""
        return msgspec.structs.replace(explanation, prediction_id=prediction_id)
