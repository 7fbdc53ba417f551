"""Choose a model for clinical records without looking at the test side, then serve the choice.

python examples/clinical_records.py [TABLE TARGET]

TABLE is a CSV, Parquet, JSON-lines or ARFF file and TARGET its column of classes; without them, the
569 breast cancer biopsies that come with scikit-learn.
"""

import sys

from sklearn.datasets import load_breast_cancer

from lepton_ai import DataManagement, MachineLearning

CANDIDATES = ("logistic regression", "random forest", "histogram gradient boosting", "SVM")


def biopsies() -> DataManagement.Table:
    bunch = load_breast_cancer()
    columns = dict(zip(bunch.feature_names.tolist(), bunch.data.T, strict=True))
    columns["diagnosis"] = bunch.target_names[bunch.target]
    return DataManagement.read_table(columns, name="biopsies")


def main(table: DataManagement.Table, target: str) -> None:
    rest, test = DataManagement.split_data(table, test_size=0.2, target=target)
    train, validation = DataManagement.split_data(rest, test_size=0.25, target=target)

    # The test side is asked once, at the end: a figure that was chosen by is no honest figure.
    losses = {}
    for kind in CANDIDATES:
        model = MachineLearning.train_classifier(
            train, target=target, model_type=kind, name=f"{table.name} candidates"
        )
        found = MachineLearning.evaluate(model, validation)
        losses[kind] = found.log_loss
        print(f"{kind:30} accuracy {found:.3f}, log loss {found.log_loss:.3f}")
    chosen = min(losses, key=losses.__getitem__)

    model = MachineLearning.train_classifier(
        rest, target=target, model_type=chosen, name=table.name
    )
    model = MachineLearning.set_alias(model, "champion")
    print(f"\nchosen: {chosen}")
    print(MachineLearning.evaluate(model, test))

    deployment = MachineLearning.deploy_model(f"{table.name}@champion")
    record = test.to_polars().drop(target).to_dicts()[0]
    answer = deployment.predict(record)
    print(f"\n{deployment.url} says of a test record: {answer.label} ({answer.probabilities})")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(DataManagement.read_table(sys.argv[1]), sys.argv[2])
    elif len(sys.argv) == 1:
        main(biopsies(), "diagnosis")
    else:
        sys.exit(__doc__)
