import polars as pl

from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.ml.registry import set_alias
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace


def test_a_card_is_filled_from_facts(painted: ImageSet) -> None:
    model = train_classifier(preprocess_images(painted), model_type="svm", C=2)
    card = model.card()
    for fact in (
        "# squares, version 1",
        "`left`, `right`. Aliases: `champion`.",
        "dataset `squares:1`: 24 rows",
        "class `left`: 12 rows",
        "transform: gaussian, sigma 0.5",
        "step: standardise",
        "features: 144",
        "`C` = `2`",
        "seed 0",
        "scikit-learn 1.",
        "ONNX. Parity with the trained model: 48 rows",
        "Not evaluated yet.",
    ):
        assert fact in card
    set_alias(model, "best")
    assert "`best`, `champion`" in model.card()
    # The card in the bundle says what was known when it was signed.
    assert "version" not in model.bundle.read("card.md").decode().split("\n")[0]


def test_names_from_data_cannot_become_markup(workspace: Workspace) -> None:
    frame = pl.DataFrame({"x`<b>": [1.0, 2.0] * 9, "# id": [f"r{n}" for n in range(18)]})
    frame = frame.with_columns(y=pl.Series(["a`\n# Approved", "<script>"] * 9))
    card = train_classifier(frame, target="y", model_type="dt", workspace=workspace).card()
    assert "\n# Approved" not in card
    assert "`a' # Approved`" in card
    assert "`<script>`" in card
