"""Malignancy of lung nodules: repeated 10-fold cross-validation of what `train_classifier` chooses.

Run it with ``python benchmarks/models/nodules.py`` (a minute or two for each of the 50 folds).

Protocol: 999 nodules of 5 to 15 mm (R4HCR, 22.4 % malignant; no patient is named, so nodules of
one patient may part). In each of ten stratified folds, shuffled by the seed, ``model_type="auto"``
compares models, draws settings and weighs an ensemble on the nine other parts alone, by
cross-validation inside them; the tenth is asked once. So neither settings nor weights nor
calibration have seen a row that is counted. AUC is the mean over the folds, as in the baseline
beside it; the expected calibration error is over all 999 out-of-fold answers of a seed, in 15 bins
of the confidence. Five seeds, unless LEPTON_SEEDS says otherwise; the number of settings that are
drawn is fixed, so that a seed gives the same figures on any machine.

Published: a random forest on the same rows and features, 10 folds, AUC 0.9029 +- 0.026, LightGBM
0.8949 and logistic regression 0.8946 (scikit-learn's defaults, one seed). Of the same programme
but another sample: Brock model 0.868 (0.843 to 0.891), a CNN on the images 0.896 (0.876 to 0.915)
(Baldwin et al., Thorax 2020).
"""

from pathlib import Path

import polars as pl
from folds import Protocol, report
from protocol import folder

PUBLISHED = {
    "random forest, scikit-learn": 0.9029,
    "LightGBM": 0.8949,
    "logistic regression": 0.8946,
    "Brock model (other sample)": 0.868,
    "CNN on images (other sample)": 0.896,
}


def rows() -> pl.DataFrame:
    where: Path = folder("medical/lung_nodules_r4hcr")
    return pl.read_csv(where / "Nodules.csv").with_columns(
        pl.col("malignant").cast(pl.Int64).replace_strict({0: "benign", 1: "malignant"})
    )


if __name__ == "__main__":
    report(Protocol(name="nodules", target="malignant", positive="malignant"), rows(), PUBLISHED)
