"""Training: one verb for each task, from data to a registered model version."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecast import learn_forecast
from lepton_ai.ml.guess import guess_task
from lepton_ai.ml.learning import learn
from lepton_ai.ml.model import Model
from lepton_ai.ml.selection.choosing import Effort
from lepton_ai.ml.task import CLASSIFICATION, CLUSTERING, DETECTION, FORECASTING, REGRESSION
from lepton_ai.ml.wish import Wish
from lepton_ai.storage import Workspace

if TYPE_CHECKING:
    from lepton_ai.compute.engine import Engine
    from lepton_ai.data.recipes import Recipe

__all__ = [
    "train",
    "train_classifier",
    "train_clusterer",
    "train_detector",
    "train_forecaster",
    "train_regressor",
]


def train_classifier(
    data: Any,
    *,
    model_type: str = "random forest",
    target: Any = None,
    name: str | None = None,
    seed: int = 0,
    groups: str | None = None,
    sample_weight: str | None = None,
    time: str | None = None,
    window: int = 0,
    balanced: bool = False,
    tune: bool = False,
    budget: float | None = None,
    trials: int | None = None,
    threshold: Any = None,
    calibrate: str | None = None,
    positive: str | None = None,
    kinds: Mapping[str, Any] | None = None,
    components: int | float | None = None,
    recipe: "Recipe | str | None" = None,
    engine: "Engine | None" = None,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Train a classifier and register it as the next version of a model.

    The same data, seed and parameters give the same bytes, so training again after a crash
    gives the same version. The first version of a name becomes its ``champion``.

    Args:
        data: an image set; a table or a frame (pandas, Polars, Arrow) with ``target``; rows of
            numbers with ``target``; or a tuple of rows and labels. Data that is not stored yet
            is stored, so that the model's origin is known.
        model_type: a name or alias of the zoo, in any case: "SVM", "random forest", "KNN"; or
            "auto", which compares what is plausible and takes the best model or an ensemble.
        target: the column of the labels, or the labels of rows of numbers.
        name: of the model; else that of the dataset.
        seed: of everything random, 0 to 2**32 - 1.
        groups: the column of a table that says what belongs together, such as the patient; it
            is no feature. A side of a grouped split knows it already, and so do images.
        sample_weight: the column of the rows' weights; it is no feature.
        time: the column of the rows' order; it is no feature. What stops a network early is then
            measured on the last rows.
        window: how many steps of a series the model sees: each row then stands for the last steps
            of its group (a machine, a patient) up to itself, in the order of ``time``. An endpoint
            is asked with the records of those steps. LSTM, GRU and temporal CNN see them as a
            series, other models as so many features.
        balanced: whether each class weighs the same in all, however rare it is.
        tune: whether the model's parameters are searched (see `Entry.space`) before it is trained.
        budget: seconds for "auto" or ``tune``, the final fit included; 60 unless given. A fit that
            runs is not cut short.
        trials: how many settings are drawn instead, whatever time that takes: the same seed then
            finds the same model.
        threshold: from which probability on a row is labelled ``positive``: a number, or what it
            is chosen by on answers out of fold: ``{"recall": 0.9}``, ``{"precision": 0.8}`` (with
            ``"assured": True`` for the lower end of its interval) or ``{"costs": [[0, 1], [5,
            0]]}``, a row for each true class and a column for each given one.
        calibrate: "isotonic", "sigmoid" (Platt) or "temperature": a map of the probabilities,
            fitted to answers out of fold and applied to every answer.
        positive: of two classes, the one that is looked for.
        kinds: of a table's columns where their types don't tell; see `Encoding.fit`.
        components: principal components to reduce the features to, a number or the share of the
            variance to keep.
        recipe: what a table's columns go through first, or the name of a kept one. It is fitted
            anew on these rows, kept in the model, and applied to every record asked about; its
            steps that drop rows act on these only. ``kinds`` is about the columns after it.
        engine: whose workers share each batch of a network, such as ``RayEngine()``.
        workspace: where to store it; that of the data, else the default one.
        parameters: of the estimator, such as ``C=10`` or ``n_estimators=500``.

    Raises:
        UnknownModel: no classifier has that name; the message lists the names.
        UnknownParameter: the classifier has no such parameter; the message lists near ones.
        InvalidInput: a parameter's value is wrong, or the data cannot be learned from.
    """
    wish = Wish(
        model_type=model_type,
        target=target,
        name=name,
        seed=seed,
        groups=groups,
        sample_weight=sample_weight,
        time=time,
        window=window,
        balanced=balanced,
        effort=Effort(
            tune=tune,
            budget=budget,
            trials=trials,
            threshold=threshold,
            calibrate=calibrate,
            positive=None if positive is None else str(positive),
        ),
        kinds=kinds,
        components=components,
        recipe=recipe,
        engine=engine,
        workspace=workspace,
        parameters=parameters,
    )
    return learn(CLASSIFICATION, data, wish)


def train_regressor(
    data: Any,
    *,
    model_type: str = "random forest",
    target: Any = None,
    name: str | None = None,
    seed: int = 0,
    groups: str | None = None,
    sample_weight: str | None = None,
    time: str | None = None,
    window: int = 0,
    tune: bool = False,
    budget: float | None = None,
    trials: int | None = None,
    interval: float | None = None,
    kinds: Mapping[str, Any] | None = None,
    components: int | float | None = None,
    recipe: "Recipe | str | None" = None,
    engine: "Engine | None" = None,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Train a regressor, which predicts a number, and register it.

    Args:
        data: as for `train_classifier`, with numbers instead of labels.
        model_type: a name or alias of the zoo, such as "ridge" or "random forest"; or "auto".
        target: the column of the numbers to predict, or those numbers.
        name: as for `train_classifier`; so are the other arguments.
        interval: the share, such as 0.9, of the intervals around predictions that are to hold the
            truth. Their width is fitted to answers out of fold (conformal prediction) and kept
            with the model; the endpoint gives ``low`` and ``high`` with each ``value``.

    Raises:
        UnknownModel: no regressor has that name; the message lists the names.
        UnknownParameter: the regressor has no such parameter; the message lists near ones.
        InvalidInput: a parameter's value is wrong, or the data cannot be learned from.
    """
    wish = Wish(
        model_type=model_type,
        target=target,
        name=name,
        seed=seed,
        groups=groups,
        sample_weight=sample_weight,
        time=time,
        window=window,
        effort=Effort(tune=tune, budget=budget, trials=trials, interval=interval),
        kinds=kinds,
        components=components,
        recipe=recipe,
        engine=engine,
        workspace=workspace,
        parameters=parameters,
    )
    return learn(REGRESSION, data, wish)


def train_clusterer(
    data: Any,
    *,
    model_type: str = "k-means",
    name: str | None = None,
    seed: int = 0,
    groups: str | None = None,
    sample_weight: str | None = None,
    kinds: Mapping[str, Any] | None = None,
    components: int | float | None = None,
    recipe: "Recipe | str | None" = None,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Find clusters, and register the model that says which one a row belongs to.

    Args:
        data: as for `train_classifier`, without labels.
        model_type: a name or alias of the zoo, such as "k-means" or "HDBSCAN".
        name: as for `train_classifier`; so are the other arguments.

    Raises:
        UnknownModel: no clusterer has that name; the message lists the names.
        UnknownParameter: the clusterer has no such parameter; the message lists near ones.
        InvalidInput: a parameter's value is wrong, or the data cannot be learned from.
    """
    wish = Wish(
        model_type=model_type,
        name=name,
        seed=seed,
        groups=groups,
        sample_weight=sample_weight,
        kinds=kinds,
        components=components,
        recipe=recipe,
        workspace=workspace,
        parameters=parameters,
    )
    return learn(CLUSTERING, data, wish)


def train_detector(
    data: Any,
    *,
    model_type: str = "isolation forest",
    contamination: float = 0.05,
    name: str | None = None,
    seed: int = 0,
    groups: str | None = None,
    sample_weight: str | None = None,
    kinds: Mapping[str, Any] | None = None,
    components: int | float | None = None,
    recipe: "Recipe | str | None" = None,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Learn what is usual, and register the model that scores how strange a row is.

    Args:
        data: as for `train_classifier`, without labels.
        model_type: a name or alias of the zoo, such as "isolation forest" or "autoencoder".
        contamination: the share of the training rows that are to count as anomalies; it sets the
            score from which on a row is labelled ``anomaly``.
        name: as for `train_classifier`; so are the other arguments.

    Raises:
        UnknownModel: no detector has that name; the message lists the names.
        UnknownParameter: the detector has no such parameter; the message lists near ones.
        InvalidInput: a parameter's value is wrong, or the data cannot be learned from.
    """
    wish = Wish(
        model_type=model_type,
        contamination=contamination,
        name=name,
        seed=seed,
        groups=groups,
        sample_weight=sample_weight,
        kinds=kinds,
        components=components,
        recipe=recipe,
        workspace=workspace,
        parameters=parameters,
    )
    return learn(DETECTION, data, wish)


def train_forecaster(
    data: Any,
    *,
    model_type: str = "ridge forecast",
    target: str | Sequence[str] | None = None,
    time: str | None = None,
    history: int = 12,
    horizon: int = 12,
    season: str | None = "auto",
    name: str | None = None,
    seed: int = 0,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Learn to forecast the next steps of one or many series, and register the model.

    It is tried beside persistence, a ridge regression and, where the history holds a whole season,
    the seasonal naive forecast on the last fifth of the series; the card shows the errors.

    Args:
        data: a table or frame in wide form: a row for each moment, a column for each series.
        model_type: a name or alias of the zoo, such as "ridge forecast" or "graph cnn".
        target: the columns of the series; all of numbers unless given.
        time: the column of the moments, evenly spaced; rows stand in order unless given.
        history: steps that a forecast sees.
        horizon: steps that it gives.
        season: "day" lets the time of day and the weekday be features; "auto" does so where the
            moments show two days or more; None doesn't.
        name: of the model; else that of the dataset.
        seed: of everything random.
        workspace: where to store it; that of the data, else the default one.
        parameters: of the estimator, such as ``epochs=40``.

    Raises:
        UnknownModel: no forecaster has that name; the message lists the names.
        InvalidInput: steps are not even, values are missing, or the series are too short.
    """
    wish = Wish(
        model_type=model_type,
        target=target,
        time=time,
        window=history,
        horizon=horizon,
        season=season,
        name=name,
        seed=seed,
        workspace=workspace,
        parameters=parameters,
    )
    return learn_forecast(data, wish)


# task -> its verb
_VERBS: dict[str, Callable[..., Model]] = {
    CLASSIFICATION.name: train_classifier,
    REGRESSION.name: train_regressor,
    CLUSTERING.name: train_clusterer,
    DETECTION.name: train_detector,
    FORECASTING.name: train_forecaster,
}


def train(data: Any, *, task: str = "auto", **options: Any) -> Model:
    """Train a model for a task, which is told from the data unless it is named.

    Args:
        data: see the verb of the task.
        task: "classification", "regression", "clustering", "detection", "forecasting"; or "auto":
            forecasting where ``horizon`` is given, clustering where there is no target, else
            classification or regression by what the target holds.
        options: those of `train_classifier`, `train_regressor`, `train_clusterer`,
            `train_detector` or `train_forecaster`.

    Raises:
        InvalidInput: there is no such task, or the data cannot be learned from.
    """
    chosen = guess_task(data, options) if task == "auto" else task
    if chosen not in _VERBS:
        raise InvalidInput(f"there is no task {task!r}; choose auto or one of: {', '.join(_VERBS)}")
    return _VERBS[chosen](data, **options)
