"""The zoo: which classifiers there are, as a table of names, aliases and dotted paths.

A third party adds a row through the entry point group ``lepton_ai.models``; each entry
point names an :class:`Entry`.
"""

import re
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from msgspec import Struct, field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load

__all__ = ["Entry", "UnknownModel", "create", "entries", "find"]

_MANAGED = ("n_jobs", "random_state", "verbose", "warm_start")


class UnknownModel(InvalidInput):
    """No classifier has this name."""


class UnknownParameter(InvalidInput):
    """The classifier has no parameter of this name."""


class Entry(Struct, frozen=True, kw_only=True):
    """One classifier that can be trained by name.

    Attributes:
        name: what the platform calls it.
        aliases: other names for it; case, spaces and punctuation don't count in any name.
        path: where the estimator's class lies, written ``module:class``.
        extra: the extra of the lepton-ai distribution that installs its library.
        defaults: parameters that differ from the library's own defaults.
        scaled: whether its features should be standardised first.
        calibrated: whether its scores become probabilities by calibration (Platt, 1999).
        parallel: whether ``n_jobs`` threads fit it, to the same bits as one.
        managed: parameters that the platform sets itself, so that a caller may not.
    """

    name: str
    aliases: tuple[str, ...]
    path: str
    extra: str = "all"
    defaults: dict[str, Any] = field(default_factory=dict)
    scaled: bool = False
    calibrated: bool = False
    parallel: bool = False
    managed: tuple[str, ...] = _MANAGED


_TABLE = (
    Entry(
        name="svm",
        aliases=("svc", "support vector machine", "support vector classifier"),
        path="sklearn.svm:SVC",
        # scikit-learn's own C=1, gamma="scale": cross-validation inside training parts of the
        # pneumonia images, and on its four small data sets, found none that is better by more
        # than the noise.
        scaled=True,
        calibrated=True,
        managed=(*_MANAGED, "probability", "cache_size"),
    ),
    Entry(
        name="random forest",
        aliases=("rf", "random forest classifier"),
        path="sklearn.ensemble:RandomForestClassifier",
        defaults={"n_estimators": 200},
        parallel=True,
    ),
    Entry(
        name="extra trees",
        aliases=("et", "extremely randomized trees", "extra trees classifier"),
        path="sklearn.ensemble:ExtraTreesClassifier",
        defaults={"n_estimators": 200},
        parallel=True,
    ),
    Entry(
        name="naive bayes",
        aliases=("nb", "gaussian nb", "gaussian naive bayes"),
        path="sklearn.naive_bayes:GaussianNB",
        # Standardising changes nothing in exact arithmetic and keeps the squares in range.
        scaled=True,
    ),
    Entry(
        name="decision tree",
        aliases=("dt", "tree", "cart", "decision tree classifier"),
        path="sklearn.tree:DecisionTreeClassifier",
    ),
    Entry(
        name="k-nearest",
        aliases=("knn", "k nearest neighbors", "k nearest neighbours", "k neighbors classifier"),
        path="sklearn.neighbors:KNeighborsClassifier",
        scaled=True,
    ),
    Entry(
        name="logistic regression",
        aliases=("logistic", "logit", "lr"),
        path="sklearn.linear_model:LogisticRegression",
        defaults={"max_iter": 1000},
        scaled=True,
    ),
    Entry(
        name="multilayer perceptron",
        aliases=("mlp", "perceptron", "neural network", "mlp classifier"),
        path="sklearn.neural_network:MLPClassifier",
        defaults={"max_iter": 500},
        scaled=True,
    ),
    Entry(
        name="histogram gradient boosting",
        aliases=("hist gradient boosting", "gradient boosting", "boosting", "hgb", "histgb",
                 "hist gradient boosting classifier"),
        path="sklearn.ensemble:HistGradientBoostingClassifier",
    ),
)  # fmt: skip


def entries() -> dict[str, Entry]:
    """Return every classifier by its name: the built-in ones, then those of entry points."""
    found = {entry.name: entry for entry in _TABLE}
    for point in entry_points(group="lepton_ai.models"):
        entry = point.load()
        if not isinstance(entry, Entry):
            raise InvalidInput(
                f"the entry point {point.name!r} of the group 'lepton_ai.models' gives "
                f"{type(entry).__name__}, not a lepton_ai.ml.zoo.Entry; mend or remove its package"
            )
        found.setdefault(entry.name, entry)
    return found


def find(model_type: str) -> Entry:
    """Return the classifier that a name or alias means, in any case and spelling of spaces.

    Raises:
        UnknownModel: nothing has that name; the message lists the names.
    """
    known = entries()
    names = {_plain(name): entry for entry in known.values() for name in entry.aliases}
    names |= {_plain(entry.name): entry for entry in known.values()}
    if not isinstance(model_type, str) or _plain(model_type) not in names:
        raise UnknownModel(
            f"there is no model type {model_type!r}; choose one of: {', '.join(sorted(known))}"
        )
    return names[_plain(model_type)]


def create(entry: Entry, seed: int, parameters: dict[str, Any]) -> Any:
    """Make the unfitted estimator of one entry.

    Args:
        entry: which classifier.
        seed: sets the estimator's ``random_state``, where it has one.
        parameters: the caller's, over the entry's defaults.

    Raises:
        UnknownParameter: the estimator has no such parameter; the message lists near names.
        InvalidInput: a value is outside what the estimator accepts, or is set by the platform.
    """
    estimator = load(entry.path, extra=entry.extra)()
    known = set(estimator.get_params(deep=False))
    for name in parameters:
        if name in entry.managed:
            advice = "pass seed=" if name == "random_state" else "leave it out"
            raise InvalidInput(f"the platform sets {name!r} of a {entry.name} itself; {advice}")
        if name not in known:
            settable = sorted(known - set(entry.managed))
            near = get_close_matches(name, settable, n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UnknownParameter(
                f"a {entry.name} has no parameter {name!r}; {hint}It takes: {', '.join(settable)}"
            )
    estimator.set_params(**entry.defaults | parameters)
    if "random_state" in known:
        estimator.set_params(random_state=seed)
    # scikit-learn checks values on fit; asking it now spares reading the data first.
    check = getattr(estimator, "_validate_params", None)
    if check is not None:
        try:
            check()
        except ValueError as error:
            raise InvalidInput(f"a parameter of {entry.name} is wrong: {error}") from error
    return estimator


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
