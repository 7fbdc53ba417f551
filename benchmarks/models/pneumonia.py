"""Pneumonia on chest X-rays of children (PneumoniaMNIST, 28 x 28): the residual network.

Run it with ``python benchmarks/models/pneumonia.py``.

Protocol: the official split of MedMNIST v2 (Yang et al., 2023). The network learns from the 4708
training images alone. Its parameters were chosen on training and validation images (by learning
from one half of the training images and measuring on the other, the halves being two clusters of
exposure and sharpness, because the test images are known to differ from the rest), the threshold
of each seed is the one where its errors on the 524 validation images are equally frequent in both
classes. The 624 test images are answered once with what was chosen. Five seeds, one thread.

Published figures (medmnist.com): test AUC and accuracy at a threshold of one half.
"""

import time
from typing import Any

import numpy as np
from protocol import folder, seeds, spread
from sklearn.metrics import roc_auc_score, roc_curve

from lepton_ai.ml.networks.residual import ResidualClassifier

PUBLISHED = {
    "auto-sklearn": (0.942, 0.855),
    "ResNet-18 (28)": (0.944, 0.854),
    "AutoKeras": (0.947, 0.878),
    "ResNet-50 (28)": (0.948, 0.854),
    "ResNet-18 (224)": (0.956, 0.864),
    "Google AutoML Vision": (0.991, 0.946),
}
CHOSEN: dict[str, Any] = {
    "shape": (28, 28),
    "threads": 1,
    "validation": 0.0,
    "epochs": 15,
    "members": 2,
    "width": 24,
    "pool": 2,
    "per_image": True,
    "averaging": 0.99,
    "weight_decay": 0.05,
    "augment": {"shift": 0.08, "rotate": 10.0, "scale": 0.1, "brightness": 0.2, "contrast": 0.2},
}


def images(part: str, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images as rows of 784 grey levels, and 1 for pneumonia."""
    pixels = data[f"{part}_images"]
    return pixels.reshape(len(pixels), -1).astype(np.float32), data[f"{part}_labels"].ravel()


def equal_errors(labels: np.ndarray, scores: np.ndarray) -> float:
    """The threshold at which both classes are mistaken equally often."""
    false, true, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    place = int(np.argmin(np.abs(false - (1 - true))))
    # Halfway to the next score, so that no validation image lies on it.
    return float((thresholds[place] + thresholds[min(place + 1, len(thresholds) - 1)]) / 2)


def main() -> None:
    with np.load(folder("medical/pneumoniamnist") / "pneumoniamnist.npz") as data:
        (learned, known), (chosen, seen), (test, truth) = (
            images(part, data) for part in ("train", "val", "test")
        )
    figures: dict[str, list[float]] = {}
    for seed in seeds():
        wall, cpu = time.perf_counter(), time.process_time()
        network = ResidualClassifier(**CHOSEN, random_state=seed).fit(learned, known)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        checked = network.predict_proba(chosen)[:, 1]
        threshold = equal_errors(seen, checked)
        scores = network.predict_proba(test)[:, 1]
        found = {
            "validation AUC": float(roc_auc_score(seen, checked)),
            "threshold": threshold,
            "test AUC": float(roc_auc_score(truth, scores)),
            "test accuracy": float(((scores > threshold) == truth).mean()),
            "test accuracy at one half": float(((scores > 0.5) == truth).mean()),
            "seconds": wall,
            "processor seconds": cpu,
        }
        print(
            f"seed {seed}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()),
            flush=True,
        )
        for name, value in found.items():
            figures.setdefault(name, []).append(value)
    print(
        f"\n{'mean of the seeds':28}"
        + "".join(f"\n  {n:26} {spread(v, 3)}" for n, v in figures.items())
    )
    print(f"\n{'published':28}      AUC  accuracy")
    for name, (auc, accuracy) in PUBLISHED.items():
        print(f"{name:28} {auc:8.3f}  {accuracy:8.3f}")


if __name__ == "__main__":
    main()
