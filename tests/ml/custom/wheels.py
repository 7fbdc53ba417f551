"""Tiny packages as real wheels, and their installation."""

import base64
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

MODELS = '''
import threading

import numpy as np
from sklearn.tree import DecisionTreeClassifier


class Centres:
    """The class whose centre is nearest."""

    def __init__(self, sharpness=1.0, random_state=None):
        self.sharpness = sharpness
        self.random_state = random_state

    def fit(self, rows, codes, sample_weight=None):
        weights = np.ones(len(rows)) if sample_weight is None else sample_weight
        self.centres = np.stack(
            [np.average(rows[codes == c], axis=0, weights=weights[codes == c])
             for c in np.unique(codes)]
        )
        return self

    def predict_proba(self, rows):
        gaps = ((rows[:, None, :] - self.centres) ** 2).mean(axis=2)
        shares = np.exp(-self.sharpness * (gaps - gaps.min(axis=1, keepdims=True)))
        return shares / shares.sum(axis=1, keepdims=True)


class Line:
    """Least squares, with a state of its own telling."""

    tasks = "regression"

    def fit(self, rows, values):
        self.weights = np.linalg.lstsq(np.c_[rows, np.ones(len(rows))], values, rcond=None)[0]
        self.lock = threading.Lock()

    def predict(self, rows):
        return rows @ self.weights[:-1] + self.weights[-1]

    def state(self):
        return {"weights": self.weights, "told": {"by": ("state", 1)}}

    @classmethod
    def from_state(cls, state):
        assert state["told"] == {"by": ("state", 1)}
        made = cls()
        made.weights = state["weights"]
        return made


class Tree:
    """Labels by an estimator of scikit-learn."""

    def fit(self, rows, codes):
        self.inner = DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows, codes)

    def predict(self, rows):
        return self.inner.predict(rows)


class Halves:
    """Two clusters, and noise far out."""

    tasks = ("clustering",)

    def fit(self, rows):
        self.middle, self.far = np.median(rows[:, 0]), np.quantile(np.abs(rows), 0.999)

    def predict(self, rows):
        found = (rows[:, 0] > self.middle).astype(int)
        return np.where((np.abs(rows) > self.far).any(axis=1), -1, found)


class Distance:
    """How far from the centre, lower for what is stranger."""

    def fit(self, rows):
        self.centre = rows.mean(axis=0)

    def score_samples(self, rows):
        return -np.linalg.norm(rows - self.centre, axis=1)


def first_feature(rows):
    return rows[:, 0] > 15


class Locked(Centres):
    def fit(self, rows, codes):
        super().fit(rows, codes)
        self.lock = threading.Lock()


class Failing(Centres):
    def predict_proba(self, rows):
        raise KeyError("nothing there")


class Wide(Centres):
    def predict_proba(self, rows):
        return np.ones((len(rows), 7))


nothing = 3
'''

POINTS = "[lepton_ai.models]\nnearest centre = our_models.models:Centres\n"


def wheel(
    folder: Path,
    name: str = "our-models",
    version: str = "1.2",
    files: Mapping[str, str] | None = None,
    points: str = POINTS,
) -> Path:
    """Write a wheel (PEP 427) of a package and return its path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    chosen = files or {f"{module}/__init__.py": "", f"{module}/models.py": MODELS}
    contents = {
        **chosen,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    lines = []
    for path, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text.encode())}")
    contents[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    written = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(written, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return written


def unpack(built: Path, target: Path) -> None:
    """Install a wheel as pip does: what lies in it, laid beside the others."""
    with zipfile.ZipFile(built) as archive:
        archive.extractall(target)


def forget(module: str) -> None:
    """Let Python import a package afresh, as a new process would."""
    from lepton_ai.ml.custom import package

    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        del sys.modules[name]
    package._IMPORTED.pop(module, None)
