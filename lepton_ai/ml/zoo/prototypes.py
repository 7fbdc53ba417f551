"""Clusterers that place new rows: by the nearest of the rows, or centres, that they keep.

scikit-learn's density and linkage methods cluster only the rows they were fitted to. Here each
keeps prototypes, and a row belongs where its nearest prototype does:

- k-means: the nearest centre, which is its definition;
- agglomerative: the nearest training row;
- DBSCAN: the nearest core row, if that lies within ``eps``; else noise. A training row that
  reaches core rows of two clusters may go to the other one than in the fit, which there depends on
  the order of the rows;
- HDBSCAN: the nearest row of any cluster, if it is no further than the rows of that cluster are
  from the nearest of their own; else noise.
"""

from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted, validate_data

from lepton_ai.core.errors import InvalidInput

__all__ = [
    "AgglomerativeClusterer",
    "DBSCANClusterer",
    "HDBSCANClusterer",
    "KMeansClusterer",
    "MiniBatchKMeansClusterer",
]

Matrix = NDArray[np.float64]

# Operator set and IR version that ONNX Runtime runs everywhere.
_OPERATORS, _IR = 18, 8


class _Clusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A clusterer with prototypes.

    Attributes:
        labels_: the cluster of each training row, -1 for noise (rows,).
        prototypes_: float32 numbers (prototypes, features).
        owners_: the cluster of each prototype (prototypes,).
        reach_: how far each prototype reaches (prototypes,), None for everywhere.
        clusters_: how many there are.
    """

    noise_ = False

    def _cluster(self, X: Matrix) -> Any:  # noqa: N803
        """Return scikit-learn's clusterer, fitted."""
        raise NotImplementedError

    def _keep(self, found: Any, X: Matrix) -> tuple[Matrix, NDArray[np.int64], Matrix | None]:  # noqa: N803
        """Return prototypes, the cluster of each, and how far each reaches."""
        return X, self.labels_, None

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Find the clusters of features (rows, features)."""
        matrix = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        found = self._cluster(matrix)
        self.labels_ = found.labels_.astype(np.int64)
        if hasattr(found, "n_iter_"):
            self.n_iter_ = found.n_iter_
        self.clusters_ = int(self.labels_.max()) + 1
        if self.clusters_ < 1:
            raise InvalidInput(
                f"a {type(self).__name__} takes all {len(matrix)} rows for noise; let it reach "
                "further (eps) or take smaller clusters (min_cluster_size, min_samples)"
            )
        prototypes, owners, reach = self._keep(found, matrix)
        # What is kept is what a graph in float32 keeps: both forms measure the same distances.
        self.prototypes_ = prototypes.astype(np.float32).astype(np.float64)
        self.owners_ = owners.astype(np.int64)
        self.reach_ = reach
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """Return the cluster of each row, -1 for noise (rows,)."""
        check_is_fitted(self, "prototypes_")
        matrix = validate_data(self, X, dtype=np.float64, reset=False)
        nearest, distance = pairwise_distances_argmin_min(matrix, self.prototypes_)
        owners: NDArray[np.int64] = self.owners_[nearest]
        if self.reach_ is None:
            return owners
        return np.where(distance <= self.reach_[nearest], owners, -1)

    def predict_proba(self, X: Any) -> Matrix:  # noqa: N803
        """Return 1 for the cluster of each row and 0 for the others (rows, clusters).

        A method that knows noise has a last column for it.
        """
        clusters = self.predict(X)
        columns = self.clusters_ + self.noise_
        return np.eye(columns)[np.where(clusters < 0, columns - 1, clusters)]

    def to_onnx(self) -> bytes:
        """Return the rule as an ONNX graph: ``X`` in, ``probabilities`` out."""
        check_is_fitted(self, "prototypes_")
        columns = self.clusters_ + self.noise_
        points = self.prototypes_.astype(np.float32)
        tensors = {
            "turned": np.ascontiguousarray(-2 * points.T),
            "squares": (points.astype(np.float64) ** 2).sum(axis=1).astype(np.float32),
            "owners": self.owners_,
            "columns": np.array(columns, dtype=np.int64),
            "values": np.array([0, 1], dtype=np.float32),
        }
        nodes = [
            helper.make_node("MatMul", ["X", "turned"], ["products"]),
            # |x - p|^2 less |x|^2, which is the same for every prototype.
            helper.make_node("Add", ["products", "squares"], ["apart"]),
            helper.make_node("ArgMin", ["apart"], ["nearest"], axis=1, keepdims=0),
            helper.make_node("Gather", ["owners", "nearest"], ["owner"]),
        ]
        chosen = "owner"
        if self.reach_ is not None:
            tensors["reach"] = (self.reach_**2).astype(np.float32)
            tensors["noise"] = np.array(columns - 1, dtype=np.int64)
            tensors["axis"] = np.array([1], dtype=np.int64)
            nodes += [
                helper.make_node("ReduceMin", ["apart", "axis"], ["least"], keepdims=0),
                helper.make_node("ReduceSumSquare", ["X", "axis"], ["lengths"], keepdims=0),
                helper.make_node("Add", ["least", "lengths"], ["squared"]),
                helper.make_node("Gather", ["reach", "nearest"], ["allowed"]),
                helper.make_node("LessOrEqual", ["squared", "allowed"], ["within"]),
                helper.make_node("Where", ["within", "owner", "noise"], ["placed"]),
            ]
            chosen = "placed"
        nodes.append(
            helper.make_node("OneHot", [chosen, "columns", "values"], ["probabilities"], axis=-1)
        )
        graph = helper.make_graph(
            nodes,
            "clusterer",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, points.shape[1]])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, columns])],
            [numpy_helper.from_array(array, name) for name, array in tensors.items()],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPERATORS)], ir_version=_IR
        )
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


class KMeansClusterer(_Clusterer):
    """k-means (Lloyd, 1982), with k-means++ starts (Arthur and Vassilvitskii, 2007).

    Args:
        n_clusters: how many clusters.
        n_init: how many starts; the tightest result is kept.
        max_iter: iterations of one start, at most.
        tol: movement of the centres below which a start has converged.
        random_state: seed of the starts.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_init: int = 10,
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _cluster(self, X: Matrix) -> Any:  # noqa: N803
        return KMeans(**self.get_params()).fit(X)

    def _keep(self, found: Any, X: Matrix) -> tuple[Matrix, NDArray[np.int64], Matrix | None]:  # noqa: N803
        return found.cluster_centers_, np.arange(len(found.cluster_centers_)), None


class MiniBatchKMeansClusterer(_Clusterer):
    """k-means on small batches (Sculley, 2010): quicker for many rows, a little looser.

    Args:
        n_clusters: how many clusters.
        batch_size: rows of a step.
        n_init: starts that are tried on a sample.
        max_iter: passes over the rows, at most.
        random_state: seed of starts and batches.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        batch_size: int = 1024,
        n_init: int = 3,
        max_iter: int = 100,
        random_state: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.batch_size = batch_size
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def _cluster(self, X: Matrix) -> Any:  # noqa: N803
        return MiniBatchKMeans(**self.get_params()).fit(X)

    def _keep(self, found: Any, X: Matrix) -> tuple[Matrix, NDArray[np.int64], Matrix | None]:  # noqa: N803
        return found.cluster_centers_, np.arange(len(found.cluster_centers_)), None


class AgglomerativeClusterer(_Clusterer):
    """Agglomerative clustering; memory grows with the square of the rows.

    Args:
        n_clusters: how many clusters.
        linkage: ``ward``, ``complete``, ``average`` or ``single``.
    """

    def __init__(self, n_clusters: int = 8, *, linkage: str = "ward") -> None:
        self.n_clusters = n_clusters
        self.linkage = linkage

    def _cluster(self, X: Matrix) -> Any:  # noqa: N803
        return AgglomerativeClustering(**self.get_params()).fit(X)


class DBSCANClusterer(_Clusterer):
    """DBSCAN (Ester et al., 1996).

    Args:
        eps: how far neighbours may lie apart.
        min_samples: neighbours that make a row a core row, itself counted.
    """

    noise_ = True

    def __init__(self, eps: float = 0.5, *, min_samples: int = 5) -> None:
        self.eps = eps
        self.min_samples = min_samples

    def _cluster(self, X: Matrix) -> Any:  # noqa: N803
        return DBSCAN(**self.get_params()).fit(X)

    def _keep(self, found: Any, X: Matrix) -> tuple[Matrix, NDArray[np.int64], Matrix | None]:  # noqa: N803
        core = found.core_sample_indices_
        return X[core], self.labels_[core], np.full(len(core), float(self.eps))


class HDBSCANClusterer(_Clusterer):
    """HDBSCAN (Campello, Moulavi and Sander, 2013).

    Args:
        min_cluster_size: rows of the smallest cluster.
        min_samples: neighbours that density is measured by; ``min_cluster_size`` if None.
        cluster_selection_epsilon: clusters that lie nearer than this are one.
    """

    noise_ = True

    def __init__(
        self,
        min_cluster_size: int = 5,
        *,
        min_samples: int | None = None,
        cluster_selection_epsilon: float = 0.0,
    ) -> None:
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.cluster_selection_epsilon = cluster_selection_epsilon

    def _cluster(self, X: Matrix) -> Any:  # noqa: N803
        return HDBSCAN(**self.get_params(), copy=True).fit(X)

    def _keep(self, found: Any, X: Matrix) -> tuple[Matrix, NDArray[np.int64], Matrix | None]:  # noqa: N803
        members = np.flatnonzero(self.labels_ >= 0)
        owners, reach = self.labels_[members], np.zeros(len(members))
        for cluster in range(self.clusters_):
            own = owners == cluster
            near = NearestNeighbors(n_neighbors=2).fit(X[members[own]])
            # The second neighbour of a row is its nearest other: the first is itself.
            reach[own] = near.kneighbors()[0][:, 0].max()
        return X[members], owners, reach
