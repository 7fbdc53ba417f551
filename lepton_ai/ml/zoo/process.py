"""Gaussian process regression that allows for noise unless told otherwise."""

from typing import Any

from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

__all__ = ["GaussianProcess"]


class GaussianProcess(GaussianProcessRegressor):  # type: ignore[misc]
    """Gaussian process regression with a squared exponential kernel plus noise.

    scikit-learn's own default has a fixed length scale and no noise, and so repeats the training
    values and knows nothing between them.

    Args:
        alpha: added to the diagonal, for numerical reasons.
        n_restarts_optimizer: further starts of the search for the kernel's parameters.
        normalize_y: whether the target is standardised first.
        random_state: seed of the starts.
    """

    def __init__(
        self,
        *,
        alpha: float = 1e-10,
        n_restarts_optimizer: int = 1,
        normalize_y: bool = True,
        random_state: int | None = None,
    ) -> None:
        super().__init__(
            ConstantKernel() * RBF() + WhiteKernel(1e-2),
            alpha=alpha,
            n_restarts_optimizer=n_restarts_optimizer,
            normalize_y=normalize_y,
            random_state=random_state,
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters that can be set; the kernel's are learned."""
        names = ("alpha", "n_restarts_optimizer", "normalize_y", "random_state")
        return {name: getattr(self, name) for name in names}
