"""Train `chest-xray-pneumonia`: a small residual network on PneumoniaMNIST.

Run it with ``python pretraining/chest_xray_pneumonia.py``. Settings are those of
``benchmarks/models/pneumonia.py``. It learns from the official training images; the threshold is
the one at which both classes are mistaken equally often on the validation images; the test images
are answered once.
"""

import time

import numpy as np
from msgspec.structs import replace
from shipping import chest_xrays, digests, folder, scratch, ship
from sklearn.metrics import roc_curve

from lepton_ai.data.transforms import Channels, Resize
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.training import train_classifier

PATH = "medical/pneumoniamnist/pneumoniamnist.npz"
CHOSEN = {
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


def equal_errors(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the threshold at which both classes are mistaken equally often."""
    false, true, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    place = int(np.argmin(np.abs(false - (1 - true))))
    return float((thresholds[place] + thresholds[min(place + 1, len(thresholds) - 1)]) / 2)


def main() -> None:
    started = time.process_time()
    with scratch() as place, np.load(folder() / PATH) as data:
        # An X-ray of any size comes to the grey 28 x 28 pixels that the network sees.
        learned, checked, test = (
            chest_xrays(data, part, place).with_transforms((Channels(1), Resize((28, 28))))
            for part in ("train", "val", "test")
        )
        model = train_classifier(
            learned, model_type="cnn", positive="pneumonia", workspace=place, **CHOSEN
        )
        threshold = equal_errors(checked.labels == "pneumonia", model.predict_proba(checked)[:, 1])
        threshold = round(threshold, 4)
        found = evaluate(model, test, positive="pneumonia")
        called = model.predict_proba(test)[:, 1] >= threshold
        accuracy = (called == (test.labels == "pneumonia")).mean()
        low, high = found.intervals["auc"]
        ship(
            model, "chest-xray-pneumonia", "chest_xray_pneumonia.py", started,
            outcome=replace(model.description.outcome, threshold=threshold),
            title="pneumonia on chest X-rays of children, a convolutional network",
            data="PneumoniaMNIST of MedMNIST v2, 28 x 28 pixels: 4708 training images learned "
            "from, 524 validation images for the threshold, 624 test images for the figures",
            sources=digests(PATH),
            licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), as MedMNIST states",
            attribution="D. Kermany et al., Identifying medical diagnoses and treatable diseases "
            "by image-based deep learning, Cell 172, 2018; J. Yang et al., MedMNIST v2, Scientific "
            "Data 10, 2023. Changed: a network was trained on the images",
            unconfirmed="the file was put together of two public copies, its images being exact "
            "and their order not the official one",
            protocol="Official split of MedMNIST v2; the test images were answered once. One seed. "
            "Published, at a threshold of one half: ResNet-18 (28) AUC 0.944 and accuracy 0.854, "
            "Google AutoML Vision 0.991 and 0.946.",
            figures={
                "test AUC": f"{found.auc:.3f} (95 % interval {low:.3f} to {high:.3f})",
                f"test accuracy at the threshold {threshold:.2f}": f"{accuracy:.3f}",
                "test accuracy at one half": f"{found.accuracy:.3f}",
            },
            use="Research, teaching, and a start for fine-tuning on chest X-rays of your own.",
            inputs="frontal chest X-rays, bright where dense (MONOCHROME2), of any size and depth: "
            "each is brought to 28 x 28 pixels and to its own mean and contrast",
            limits=(
                "Not a medical device: no diagnosis and no triage of people may rest on it.",
                "It learned from children of one to five years of one hospital in Guangzhou; "
                "adults, other hospitals and other views are not covered.",
                "28 x 28 pixels show no fine signs; anything beside normal or pneumonia is called "
                "one of both.",
                "Inverted images (MONOCHROME1 read as it is) are answered wrongly.",
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
