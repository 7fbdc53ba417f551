"""Train `nodule-malignancy`: boosted trees on 999 lung nodules of routine CT.

Run it with ``python pretraining/nodule_malignancy.py``. Five times ten folds tell how good such a
model is; the one that is shipped then learns from all rows.
"""

import time

import numpy as np
import polars as pl
from folds import figures
from shipping import digests, folder, scratch, ship

from lepton_ai.ml.training import train_classifier

PATH = "medical/lung_nodules_r4hcr/Nodules.csv"
CHOSEN = {
    "num_leaves": 4,
    "learning_rate": 0.03,
    "n_estimators": 300,
    "colsample_bytree": 0.5,
    "min_child_samples": 10,
}


def main() -> None:
    started = time.process_time()
    frame = pl.read_csv(folder() / PATH)
    positive = frame["malignant"].to_numpy().astype(np.int64)
    found = figures(frame.drop("malignant"), positive, "lightgbm", CHOSEN)
    labelled = frame.with_columns(
        malignant=pl.when(pl.col("malignant") == 1)
        .then(pl.lit("malignant"))
        .otherwise(pl.lit("benign"))
    )
    with scratch() as place:
        model = train_classifier(
            labelled, target="malignant", model_type="lightgbm", name="nodules",
            positive="malignant", workspace=place, **CHOSEN,
        )  # fmt: skip
        ship(
            model, "nodule-malignancy", "nodule_malignancy.py", started,
            title="malignancy of a lung nodule from what a report says of it, boosted trees",
            data="999 nodules of 5 to 15 mm on routine CT of three academic centres in the UK "
            "(data set Nodules of the R package R4HCR), 224 of them malignant",
            sources=digests(PATH),
            licence="MIT, as the package R4HCR states for all of it",
            attribution="B. G. Feakins, R4HCR (CRAN, 2021); J. L. Oke et al., Diagnostic and "
            "Prognostic Research 2, 2018",
            unconfirmed="whether the package's MIT licence was meant for the data too; it names "
            "none of its own",
            protocol="Repeated ten-fold cross-validation, encoding and trees learned inside each "
            "fold; settings were chosen on other folds of the same rows. Nodules of one patient "
            "can lie in different folds, for the data names no patients. The shipped model learned "
            "from all rows. Brock model on another sample of the same programme (Baldwin et al., "
            "2020): AUC 0.868.",
            figures=found,
            use="Research, teaching, and a start for fine-tuning on nodules of your own.",
            inputs="columns sex (F, M), age in years, num.annotated (nodules), location (lobe, as "
            "Right Upper Lobe), spiculate (No, Yes), smoke.status (current, exsmoke, never, "
            "unknown, NR), diameter in millimetres",
            limits=(
                "Not a medical device: no decision about a person may rest on it.",
                "Nodules beyond 5 to 15 mm, other countries and screening are not covered; 22 % of "
                "these were malignant, more than elsewhere.",
                "Its probabilities hold for that share alone; calibrate on cases of your own.",
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
