"""Forest: the trees of a model as arrays, read from the form that is served.

Every format comes to the same arrays, so nothing here depends on the library that grew the trees.
A leaf: it knows features and numbers, nothing of columns.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["Forest", "Link", "forest_of", "of_estimator"]

Matrix = NDArray[np.float64]
Link = Literal["identity", "probability", "logit", "softmax"]

_TREES = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}
# Operators that leave the answers of the trees as they are.
_BESIDE = {"Identity", "Cast", "Mul", "Reshape", "ZipMap", "ArrayFeatureExtractor"}
# ONNX's rule of a node -> whether a value equal to the threshold goes the true way, and whether
# the true way is that of the lower values.
_RULES = {b"BRANCH_LEQ": (True, True), b"BRANCH_LT": (False, True),
          b"BRANCH_GT": (False, False), b"BRANCH_GTE": (True, False)}  # fmt: skip


class Forest(Struct, frozen=True):
    """Trees whose scores are added up.

    Nodes of all trees stand one after another, leaves too.

    Attributes:
        link: what answers are made of scores by; ``probability`` where they are answers already.
        base: scores before any tree (scores,).
        feature: that a node asks about (nodes,); -1 for a leaf.
        threshold: features are compared with it (nodes,), float32 numbers.
        equal_low: whether an equal value goes the way of the lower (nodes,).
        low: the node that follows for lower values (nodes,).
        high: the one for higher values (nodes,).
        roots: the first node of each tree (trees,).
        values: what a node adds to the scores (nodes, scores); zero but for leaves.
    """

    link: Link
    base: Matrix
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    equal_low: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    roots: NDArray[np.int64]
    values: Matrix

    def goes_low(self, features: Matrix) -> NDArray[np.bool_]:
        """Return which way each row goes at each node (rows, nodes); leaves say False."""
        asked = features[:, self.feature].astype(np.float32)
        lower = asked < self.threshold
        equal = self.equal_low & (asked == self.threshold)
        low: NDArray[np.bool_] = (lower | equal) & (self.feature >= 0)
        return low

    def leaves(self, features: Matrix) -> NDArray[np.int64]:
        """Return the leaf that each row comes to in each tree (rows, trees)."""
        at = np.broadcast_to(self.roots, (len(features), len(self.roots))).copy()
        rows = np.arange(len(features))[:, None]
        values = features.astype(np.float32)
        while True:
            feature = self.feature[at]
            inner = feature >= 0
            if not inner.any():
                return at
            asked, bound = values[rows, feature], self.threshold[at]
            down = (asked < bound) | (self.equal_low[at] & (asked == bound))
            at = np.where(inner, np.where(down, self.low[at], self.high[at]), at)

    def scores(self, features: Matrix) -> Matrix:
        """Return the scores (rows, scores) of features (rows, features)."""
        return np.stack([self.base + self.values[row].sum(axis=0) for row in self.leaves(features)])

    def path(self, features: Matrix, tree: int = 0) -> list[tuple[int, bool]]:
        """Return the nodes that one row (features,) passes in a tree, and whether it goes low."""
        node, passed = int(self.roots[tree]), []
        while self.feature[node] >= 0:
            asked, bound = np.float32(features[self.feature[node]]), self.threshold[node]
            down = bool(asked < bound or (self.equal_low[node] and asked == bound))
            passed.append((node, down))
            node = int(self.low[node] if down else self.high[node])
        return [*passed, (node, False)]


def forest_of(model_format: str, data: bytes, task: Task) -> Forest | None:
    """Return the trees of a served model, or None where it is not a sum of trees.

    Args:
        model_format: of the bundle's model.
        data: the model's bytes, which were checked.
        task: of the model.
    """
    read = _READERS.get(model_format)
    return None if read is None else read(data, task)


def _of_onnx(data: bytes, task: Task) -> Forest | None:
    import onnx

    model = onnx.load_from_string(data)
    nodes = list(model.graph.node)
    trees = [node for node in nodes if node.op_type in _TREES]
    if len(trees) != 1 or not {node.op_type for node in nodes} <= _TREES | _BESIDE:
        return None
    said = {item.name: onnx.helper.get_attribute_value(item) for item in trees[0].attribute}
    return _from_attributes(said, trees[0].op_type == "TreeEnsembleClassifier")


def _from_attributes(said: Mapping[str, Any], classifier: bool) -> Forest | None:
    modes = list(said["nodes_modes"])
    if not set(modes) <= {*_RULES, b"LEAF"}:
        return None
    trees, numbers = np.asarray(said["nodes_treeids"]), np.asarray(said["nodes_nodeids"])
    place = {key: at for at, key in enumerate(zip(trees.tolist(), numbers.tolist(), strict=True))}
    leaf = np.array([mode == b"LEAF" for mode in modes])
    rules = [_RULES.get(mode, (False, True)) for mode in modes]
    equal_true, true_low = (np.array([rule[k] for rule in rules]) for k in (0, 1))

    def follow(name: str) -> NDArray[np.int64]:
        ids = zip(trees.tolist(), said[name], leaf, strict=True)
        return np.array([0 if end else place[tree, node] for tree, node, end in ids])

    yes, no = follow("nodes_truenodeids"), follow("nodes_falsenodeids")
    kind = "class" if classifier else "target"
    ids = np.asarray(said[f"{kind}_ids"])
    width = int(said.get("n_targets", 1))
    if classifier:
        labels = said.get("classlabels_int64s") or said.get("classlabels_strings") or []
        width = 1 if len(set(ids.tolist())) == 1 else len(labels)
    values = np.zeros((len(modes), width))
    where = np.array(
        [place[key] for key in zip(said[f"{kind}_treeids"], said[f"{kind}_nodeids"], strict=True)]
    )
    np.add.at(
        values,
        (where, ids if width > 1 else np.zeros_like(ids)),
        np.asarray(said[f"{kind}_weights"]),
    )
    if said.get("aggregate_function", b"SUM") == b"AVERAGE":
        values /= len(set(trees.tolist()))
    post = said.get("post_transform", b"NONE")
    base = np.zeros(width)
    given = said.get("base_values") or []
    base[: len(given)] = given
    if post == b"LOGISTIC" and width == 2:
        # Two scores, one the negative of the other: the logistic function of the second.
        values, base, width = values[:, 1:], base[1:], 1
    links: dict[tuple[bytes, bool], Link] = {
        (b"NONE", True): "probability",
        (b"NONE", False): "identity",
        (b"LOGISTIC", True): "logit",
        (b"SOFTMAX", True): "softmax",
    }
    if (post, classifier) not in links or (post == b"LOGISTIC" and width > 1):
        return None
    inner = set(np.concatenate([yes[~leaf], no[~leaf]]).tolist())
    return Forest(
        link=links[post, classifier],
        base=base,
        feature=np.where(leaf, -1, np.asarray(said["nodes_featureids"])),
        threshold=np.asarray(said["nodes_values"], dtype=np.float32),
        equal_low=np.where(true_low, equal_true, ~equal_true),
        low=np.where(true_low, yes, no),
        high=np.where(true_low, no, yes),
        roots=np.array([at for at in range(len(modes)) if at not in inner]),
        values=values,
    )


def _joined(link: Link, base: Matrix, trees: Sequence[Sequence[Any]]) -> Forest:
    """Put trees (feature, threshold, low, high, values) one after another; equals go low."""
    starts = np.cumsum([0, *(len(tree[0]) for tree in trees[:-1])])
    columns = list(zip(*trees, strict=True))
    feature = np.concatenate(columns[0])

    def shifted(part: Sequence[Any]) -> NDArray[np.int64]:
        return np.concatenate([each + start for each, start in zip(part, starts, strict=True)])

    # A float32 number is at most t exactly when it is at most the largest float32 up to t.
    exact = np.concatenate(columns[1]).astype(np.float64)
    nearest = exact.astype(np.float32)
    below = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return Forest(
        link=link,
        base=base,
        feature=feature,
        threshold=below,
        equal_low=np.ones(len(feature), dtype=bool),
        low=shifted(columns[2]),
        high=shifted(columns[3]),
        roots=starts,
        values=np.concatenate(columns[4]),
    )


def _of_skops(data: bytes, task: Task) -> Forest | None:
    from lepton_ai.ml.runtimes.skops import loads

    return of_estimator(loads(data))


def of_estimator(estimator: Any) -> Forest | None:
    """Return the trees of a fitted estimator of scikit-learn, or None where it has none."""
    if hasattr(estimator, "_predictors"):
        return _of_histograms(estimator)
    grown = getattr(estimator, "estimators_", None)
    trees = [estimator] if hasattr(estimator, "tree_") else grown
    if trees is None or not all(hasattr(each, "tree_") for each in trees):
        return None
    # Isolation forests answer by the depth of a leaf, not by what stands in it.
    if hasattr(estimator, "score_samples"):
        return None
    classifier = hasattr(estimator, "classes_")
    parts = []
    for each in trees:
        tree = each.tree_
        values = tree.value[:, 0, :] / len(trees)
        if classifier:
            values = values / tree.value[:, 0, :].sum(axis=1, keepdims=True)
        leaf = tree.children_left < 0
        parts.append(
            (
                np.where(leaf, -1, tree.feature),
                np.where(leaf, 0, tree.threshold),
                np.where(leaf, 0, tree.children_left),
                np.where(leaf, 0, tree.children_right),
                np.where(leaf[:, None], values, 0.0),
            )
        )
    link: Link = "probability" if classifier else "identity"
    return _joined(link, np.zeros(parts[0][4].shape[1]), parts)


def _of_histograms(estimator: Any) -> Forest:
    parts, width = [], len(estimator._predictors[0])
    for stage in estimator._predictors:
        for score, tree in enumerate(stage):
            nodes = tree.nodes
            if nodes["is_categorical"].any():
                raise InvalidInput("trees that split by sets of categories are not explained")
            leaf = nodes["is_leaf"].astype(bool)
            values = np.zeros((len(nodes), width))
            values[leaf, score] = nodes["value"][leaf]
            parts.append(
                (
                    np.where(leaf, -1, nodes["feature_idx"]),
                    np.where(leaf, 0, nodes["num_threshold"]),
                    np.where(leaf, 0, nodes["left"]).astype(np.int64),
                    np.where(leaf, 0, nodes["right"]).astype(np.int64),
                    values,
                )
            )
    classes = len(getattr(estimator, "classes_", ()))
    link: Link = "identity" if not classes else "logit" if classes == 2 else "softmax"
    return _joined(link, np.ravel(estimator._baseline_prediction).astype(np.float64), parts)


def _of_lightgbm(data: bytes, task: Task) -> Forest | None:
    from lightgbm import Booster

    dumped = Booster(model_str=data.decode()).dump_model()
    objective = str(dumped.get("objective", ""))
    width = int(dumped["num_tree_per_iteration"])
    links: dict[str, Link] = {"binary": "logit", "multiclass": "softmax", "regression": "identity"}
    link = links.get(objective.split(" ")[0])
    if link is None or "sqrt" in objective or "sigmoid:1" not in objective + "sigmoid:1":
        return None
    parts = []
    for number, tree in enumerate(dumped["tree_info"]):
        rows: list[list[Any]] = []
        if _grow(tree["tree_structure"], rows) is None:
            return None
        values = np.zeros((len(rows), width))
        values[:, number % width] = [row[4] for row in rows]
        parts.append((*(np.array([row[k] for row in rows]) for k in range(4)), values))
    return _joined(link, np.zeros(width), parts)


def _grow(node: Mapping[str, Any], rows: list[list[Any]]) -> int | None:
    """Append a node of LightGBM and what follows it; None where a rule is of another kind."""
    at = len(rows)
    if "leaf_value" in node:
        rows.append([-1, 0.0, 0, 0, float(node["leaf_value"])])
        return at
    if node["decision_type"] != "<=":
        return None
    rows.append([int(node["split_feature"]), float(node["threshold"]), 0, 0, 0.0])
    low = _grow(node["left_child"], rows)
    high = None if low is None else _grow(node["right_child"], rows)
    if low is None or high is None:
        return None
    rows[at][2:4] = [low, high]
    return at


def _of_catboost(data: bytes, task: Task) -> Forest | None:
    import tempfile
    from pathlib import Path

    from catboost import CatBoost

    model = CatBoost().load_model(blob=data)
    # CatBoost writes to paths only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save_model(str(path), format="onnx")
        forest = _of_onnx(path.read_bytes(), task)
    if forest is not None and task is CLASSIFICATION and forest.link == "identity":
        # The form that is kept does not say what the one score of two classes is.
        return structs.replace(forest, link="logit")
    return forest


_READERS: dict[str, Callable[[bytes, Task], Forest | None]] = {
    "onnx": _of_onnx,
    "skops": _of_skops,
    "lightgbm": _of_lightgbm,
    "catboost": _of_catboost,
}
