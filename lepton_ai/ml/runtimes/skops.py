"""scikit-learn's own models in the skops format, which holds data and names of types, no code.

Only the types listed here are ever built, whatever a file names and whatever skops itself
would trust. Where the parity gate refuses the ONNX form of a model, this form is served.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["ALLOWED", "SkopsRuntime", "dumps", "loads"]

# What the zoo's fitted estimators are made of, found by writing each; a test holds the list to it.
ALLOWED = frozenset(
    {
        "builtins.dict",
        "builtins.int",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "lepton_ai.ml.forecasting.baselines.HistoricalAverage",
        "lepton_ai.ml.forecasting.baselines.Persistence",
        "lepton_ai.ml.forecasting.baselines.RidgeForecaster",
        "lepton_ai.ml.forecasting.baselines.SeasonalNaive",
        "lepton_ai.ml.forecasting.layout.Layout",
        "lepton_ai.ml.zoo.bayes.CategoricalBayes",
        "lepton_ai.ml.zoo.bayes.MultinomialBayes",
        "lepton_ai.ml.zoo.constant.ConstantClassifier",
        "lepton_ai.ml.zoo.constant.ConstantRegressor",
        "lepton_ai.ml.zoo.process.GaussianProcess",
        "lepton_ai.ml.zoo.prototypes.AgglomerativeClusterer",
        "lepton_ai.ml.zoo.prototypes.DBSCANClusterer",
        "lepton_ai.ml.zoo.prototypes.HDBSCANClusterer",
        "lepton_ai.ml.zoo.prototypes.KMeansClusterer",
        "lepton_ai.ml.zoo.prototypes.MiniBatchKMeansClusterer",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "numpy.random._generator.Generator",
        "numpy.random.mtrand.RandomState",
        "numpy.uint64",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.ExtraTreesRegressor",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._forest.RandomForestRegressor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._iforest.IsolationForest",
        "sklearn.gaussian_process._gpc.GaussianProcessClassifier",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.linear_model._base.LinearRegression",
        "sklearn.linear_model._coordinate_descent.Lasso",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._ridge.Ridge",
        "sklearn.metrics._dist_metrics.ChebyshevDistance64",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.mixture._gaussian_mixture.GaussianMixture",
        "sklearn.multiclass.OneVsRestClassifier",
        "sklearn.naive_bayes.CategoricalNB",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.naive_bayes.MultinomialNB",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._lof.LocalOutlierFactor",
        "sklearn.neighbors._regression.KNeighborsRegressor",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPRegressor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.MinMaxScaler",
        "sklearn.preprocessing._discretization.KBinsDiscretizer",
        "sklearn.preprocessing._label.LabelBinarizer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.svm._classes.LinearSVC",
        "sklearn.svm._classes.LinearSVR",
        "sklearn.svm._classes.OneClassSVM",
        "sklearn.svm._classes.SVC",
        "sklearn.svm._classes.SVR",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._classes.ExtraTreeClassifier",
        "sklearn.tree._classes.ExtraTreeRegressor",
        "sklearn.tree._tree.Tree",
    }
)
# skops also has loaders for functions, methods and partial calls, which no model here needs.
_LOADERS = frozenset(
    {
        "DictNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
    }
)
_MOST_BYTES = 2**31
_EPOCH = (1980, 1, 1, 0, 0, 0)


class SkopsRuntime:
    """An estimator of scikit-learn, rebuilt from a skops file."""

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Rebuild the estimator.

        Raises:
            Refused: as `loads`, or the estimator does not do the task.
        """
        estimator = loads(data)
        if not hasattr(estimator, task.method):
            raise Refused(f"the skops model is a {type(estimator).__name__}, no {task.noun}")
        self._estimator = estimator
        self._task = task

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to a float64 matrix (rows, features).

        Raises:
            InvalidInput: the matrix has another number of columns.
        """
        width = self._estimator.n_features_in_
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise InvalidInput(
                f"the model takes {width} features a row, not an array of {matrix.shape}"
            )
        return self._task.answers(self._estimator, matrix)


def dumps(estimator: Any) -> bytes:
    """Write a fitted estimator as skops, the same bytes for the same estimator.

    skops names members after memory addresses and dates them with the clock; both are
    replaced by numbers in the order of appearance and a fixed date.

    Raises:
        Refused: the estimator holds types outside :data:`ALLOWED`, so it could not be loaded.
    """
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    _check(schema)
    numbers: dict[int, int] = {}
    renamed: dict[str, str] = {}
    for part in _parts(schema):
        if isinstance(part.get("__id__"), int):
            # Whether two equal plain values are one object is an accident of the interpreter.
            key = -len(numbers) - 1 if part.get("is_json") else part["__id__"]
            part["__id__"] = numbers.setdefault(key, len(numbers) + 1)
        name = part.get("file")
        if isinstance(name, str):
            suffix = name[name.rfind(".") :]
            part["file"] = renamed.setdefault(name, f"{len(renamed) + 1:06d}{suffix}")
    files = {renamed[name]: content for name, content in members.items()}
    files["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, files[name])
    return target.getvalue()


def loads(data: bytes) -> Any:
    """Rebuild an estimator.

    Raises:
        Refused: the file names a type outside :data:`ALLOWED`, or unpacks to too much.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > _MOST_BYTES:
            raise Refused(f"the skops model unpacks to {size} bytes; at most {_MOST_BYTES}")
        schema = json.loads(archive.read("schema.json"))
    _check(schema)
    return skops.io.loads(data, trusted=sorted(ALLOWED))


def _check(schema: Any) -> None:
    for part in _parts(schema):
        if "__loader__" not in part and "__class__" not in part:
            continue
        name, loader = f"{part.get('__module__')}.{part.get('__class__')}", part.get("__loader__")
        if name not in ALLOWED or loader not in _LOADERS:
            raise Refused(f"a model that holds a {name} (as {loader}) is never stored or loaded")


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema, an outer one before those inside it, in the order of the file."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for item in schema:
            yield from _parts(item)
