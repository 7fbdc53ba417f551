"""A folder of images to a live endpoint: read, preprocess, split, train, evaluate, deploy, ask.

python examples/chest_xrays.py FOLDER [MODEL]

FOLDER holds DICOM, NIfTI, PNG, JPEG, TIFF or NumPy files, in one folder for each class; MODEL is a
name of the zoo. The endpoint outlives this program; `lepton down` stops it.
"""

import sys
from pathlib import Path

from lepton_ai import DataManagement, MachineLearning


def main(folder: str, model_type: str = "SVM") -> None:
    images = DataManagement.read_images(folder)
    for aside in images.rejected[:5]:
        print(f"set aside: {aside.path}: {aside.reason}: {aside.detail}")
    images = DataManagement.preprocess_images(images)  # normalise, denoise
    print(images)

    train, test = DataManagement.split_data(images, test_size=0.2)  # patients stay on one side
    print(train.split)

    model = MachineLearning.train_classifier(train, model_type=model_type)
    evaluation = MachineLearning.evaluate(model, test)
    print(evaluation)
    print(f"Model Accuracy: {evaluation:.2f}")

    deployment = MachineLearning.deploy_model(model)
    image = test[0]  # held out of the training
    answer = deployment.predict(Path(images.folder) / image.paths[0])
    print(f"{deployment.url} says of {image.paths[0]}, labelled {image.label}: {answer.label}")
    print(f"lepton trace {answer.id}  # shows what that answer was learned from")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
