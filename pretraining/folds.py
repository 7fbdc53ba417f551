"""Repeated ten-fold figures of a table's classifier, as it is trained on all rows afterwards."""

from typing import Any

import numpy as np
import polars as pl
from shipping import spread
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from lepton_ai.data.encoding import Encoding
from lepton_ai.ml import zoo
from lepton_ai.ml.fitting import fit

REPEATS = 5
BINS = np.linspace(0.1, 0.9, 9)


def figures(
    frame: pl.DataFrame, positive: np.ndarray, model: str, parameters: dict[str, Any]
) -> dict[str, str]:
    """Return AUC and calibration error out of fold; encoding and trees learn inside each fold."""
    areas, errors = [], []
    for repeat in range(REPEATS):
        given = np.zeros(len(positive))
        # Settings were chosen on the folds of seed 1.
        folds = StratifiedKFold(10, shuffle=True, random_state=100 + repeat)
        for learned, asked in folds.split(positive, positive):
            encoding = Encoding.fit(frame[learned.tolist()], standardise=False)
            matrix = encoding.apply(frame[learned.tolist()])
            fitted = fit(
                zoo.find(model), matrix, positive[learned], seed=repeat, parameters=parameters
            )
            given[asked] = fitted.estimator.predict_proba(encoding.apply(frame[asked.tolist()]))[
                :, 1
            ]
            areas.append(roc_auc_score(positive[asked], given[asked]))
        bins = np.digitize(given, BINS)
        gaps = [abs((given - positive)[bins == each].sum()) for each in range(10)]
        errors.append(sum(gaps) / len(positive))
    return {
        f"AUC, {REPEATS} times 10 folds (mean ± deviation of the folds)": spread(areas),
        "expected calibration error (10 bins)": spread(errors),
    }
