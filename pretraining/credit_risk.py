"""Train `credit-risk`: boosted trees on the 1,000 applicants of German credit.

Run it with ``python pretraining/credit_risk.py``. Five times ten folds tell how good such a model
is; the one that is shipped then learns from all rows.
"""

import time

import numpy as np
from folds import figures
from shipping import digests, folder, scratch, ship

from lepton_ai.data.open.pull import pull
from lepton_ai.ml.training import train_classifier

PATH = "finance/german_credit/credit-g.arff"
CHOSEN = {
    "num_leaves": 8,
    "learning_rate": 0.02,
    "n_estimators": 300,
    "colsample_bytree": 0.4,
    "min_child_samples": 8,
    "subsample": 0.7,
    "subsample_freq": 1,
}


def main() -> None:
    started = time.process_time()
    with scratch() as place:
        table = pull("credit-g", workspace=place, mirror=folder())
        frame = table.to_polars()
        positive = (frame["class"] == "bad").to_numpy().astype(np.int64)
        found = figures(frame.drop("class"), positive, "lightgbm", CHOSEN)
        model = train_classifier(
            table, target="class", model_type="lightgbm", name="credit", positive="bad",
            workspace=place, **CHOSEN,
        )  # fmt: skip
        ship(
            model, "credit-risk", "credit_risk.py", started,
            title="good or bad risk of a loan applicant, boosted trees",
            data="Statlog (German Credit Data): 1,000 applicants of the years around 1975, 300 of "
            "them bad risks, with readable values (OpenML and Weka's credit-g)",
            sources=digests(PATH),
            licence="public, from the UCI Machine Learning Repository",
            attribution="H. Hofmann, Statlog (German Credit Data), UCI Machine Learning "
            "Repository, 1994, https://doi.org/10.24432/C5NC77",
            unconfirmed="UCI is recalled to state CC BY 4.0, which could not be read; the copy "
            "read here came from a Debian package of Weka under GPL 2, which is about the program",
            protocol="Repeated ten-fold cross-validation, encoding and trees learned inside each "
            "fold; settings were chosen on other folds of the same rows. The shipped model "
            "learned from all rows.",
            figures=found,
            use="Teaching, demonstrations, and a start for fine-tuning on applicants of your own.",
            inputs="the twenty columns of credit-g with its values: duration in months, "
            "credit_amount in Deutsche Mark, age in years, and so on",
            limits=(
                "No decision about a person may rest on it: the applicants are of another "
                "time, currency and law, and bad ones were sampled more often than they came.",
                "It reads age, and sex within personal_status, which laws on credit forbid to use "
                "in many countries; leave them out of a model of your own.",
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
