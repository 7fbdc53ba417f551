"""Entry: one kind of model that can be trained by name."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from lepton_ai.ml.custom.package import Package
from lepton_ai.ml.zoo.space import Space

__all__ = ["Entry"]

# What the platform sets of an estimator itself, wherever it has it.
MANAGED = (
    "n_jobs",
    "random_state",
    "verbose",
    "warm_start",
    "shape",
    "threads",
    "checkpoint",
    "progress",
)


class Entry(Struct, frozen=True, kw_only=True):
    """One kind of model.

    Attributes:
        name: what the platform calls it.
        aliases: other names for it; case, spaces and punctuation don't count in any name.
        paths: for each task that it can do, where the estimator's class lies, written
            ``module:class``.
        extra: the extra of the lepton-ai distribution that installs its library.
        defaults: parameters that differ from the library's own defaults.
        scaled: whether its features should be standardised first.
        calibrated: whether a classifier's scores become probabilities by calibration (Platt, 1999).
        parallel: whether ``n_jobs`` threads fit it, to the same bits as one.
        fine: whether large images keep more of their pixels; see `lepton_ai.ml.preparing`.
        distributed: whether the workers of an engine can share its fit.
        native: the format it is kept in where the parity gate refuses its ONNX form.
        space: what tuning searches, by parameter; see `lepton_ai.ml.selection`.
        libraries: distributions that it needs beside scikit-learn, whose versions a model records.
        managed: parameters that the platform sets itself, so that a caller may not.
        package: of a custom model (``native="custom"``), the code that it is made of.
    """

    name: str
    aliases: tuple[str, ...]
    paths: Mapping[str, str]
    extra: str = "all"
    defaults: dict[str, Any] = field(default_factory=dict)
    scaled: bool = False
    calibrated: bool = False
    parallel: bool = False
    fine: bool = False
    distributed: bool = False
    native: str = "skops"
    space: dict[str, Space] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    managed: tuple[str, ...] = MANAGED
    package: Package | None = None

    @property
    def fingerprint(self) -> dict[str, str]:
        """The digest of a custom model's package, by the name that a model records it under."""
        package = self.package
        return {} if package is None else {f"{package.distribution} files": package.digest}
