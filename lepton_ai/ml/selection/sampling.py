"""Sampling: which settings to try next, by what came of those before (Optuna)."""

from typing import Any

from lepton_ai.core.optional import load
from lepton_ai.ml.selection.trying import RUNG, Trial
from lepton_ai.ml.zoo import Entry
from lepton_ai.ml.zoo.space import Choice, Real, Space, Whole

__all__ = ["Sampler", "sampler"]

_MODEL = "model"
# Settings drawn at random before the sampler draws by what it has learned.
_RANDOM = 8


class Sampler:
    """Draws models and settings by the tree-structured Parzen estimator (Bergstra et al., 2011).

    Settings whose first folds are not among the better half so far are stopped there (successive
    halving: Jamieson and Talwalkar, 2016; Li et al., 2020).
    """

    def __init__(self, optuna: Any, entries: list[Entry], seed: int) -> None:
        """Begin a search.

        Args:
            optuna: the library.
            entries: the models to draw from; those without a space are tried as they are only.
            seed: of the draws.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._entries = {entry.name: entry for entry in entries}
        self._spaced = [entry.name for entry in entries if entry.space]
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=2 * len(self._spaced) + _RANDOM
            ),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )

    @property
    def ready(self) -> bool:
        """Whether any model has something to search."""
        return bool(self._spaced)

    def enter(self, trial: Trial) -> None:
        """Let a finished trial count as drawn."""
        name = trial.entry.name
        if name not in self._spaced:
            return
        space = trial.entry.space
        known = {key: value for key, value in trial.parameters.items() if key in space}
        self._study.enqueue_trial(
            {_MODEL: name, **{f"{name}: {key}": value for key, value in known.items()}}
        )
        trial.token = self._study.ask()
        trial.token.suggest_categorical(_MODEL, self._spaced)
        for key in known:
            _SUGGEST[type(space[key])](trial.token, f"{name}: {key}", space[key])
        self.keep(trial)
        self.tell(trial)

    def draw(self, fixed: dict[str, Any]) -> Trial:
        """Return a trial with a new setting; parameters that are fixed are not drawn."""
        token = self._study.ask()
        name = token.suggest_categorical(_MODEL, self._spaced)
        entry = self._entries[name]
        parameters = {
            parameter: _SUGGEST[type(space)](token, f"{name}: {parameter}", space)
            for parameter, space in entry.space.items()
            if parameter not in fixed
        }
        return Trial(entry, fixed | parameters, token)

    def keep(self, trial: Trial) -> bool:
        """Return whether a trial is worth its other folds."""
        losses = trial.fold_losses[:RUNG]
        trial.token.report(sum(losses) / len(losses), step=1)
        return not trial.token.should_prune()

    def tell(self, trial: Trial) -> None:
        """Note what came of a trial."""
        states = self._optuna.trial.TrialState
        if trial.state == "complete":
            loss = sum(trial.fold_losses) / len(trial.fold_losses)
            self._study.tell(trial.token, loss)
        elif trial.state == "stopped":
            self._study.tell(trial.token, state=states.PRUNED)
        else:
            self._study.tell(trial.token, state=states.FAIL)


def sampler(entries: list[Entry], seed: int) -> Sampler:
    """Begin a search.

    Raises:
        MissingExtra: Optuna is not installed.
    """
    return Sampler(load("optuna", extra="tuning"), entries, seed)


def _real(token: Any, name: str, space: Real) -> float:
    return float(token.suggest_float(name, space.low, space.high, log=space.log))


def _whole(token: Any, name: str, space: Whole) -> int:
    return int(token.suggest_int(name, space.low, space.high, log=space.log))


def _choice(token: Any, name: str, space: Choice) -> Any:
    return token.suggest_categorical(name, list(space.values))


_SUGGEST: dict[type[Space], Any] = {Real: _real, Whole: _whole, Choice: _choice}
