import json

import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.encoding import Encoding
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.ml.examples import gather
from lepton_ai.ml.outcome import Classes
from lepton_ai.ml.preparation import Preparation, as_features
from lepton_ai.ml.preparing import evenly, features_of, fit_preparation, signature_of
from lepton_ai.storage import Workspace

LABELS = Classes(("a", "b")).fields


def test_features_are_float32_numbers_in_range() -> None:
    features = as_features(np.array([[0.1, 1e300, -1e300]]))
    assert features.dtype == np.float64
    assert (features == features.astype(np.float32)).all()
    assert features[0, 0] == np.float32(0.1)
    assert np.isfinite(features).all()


def test_a_record_a_frame_and_tensors_give_the_same_features(
    loans: pl.DataFrame, workspace: Workspace
) -> None:
    examples = gather(loans, target="risk", groups=None, name=None, workspace=workspace)
    preparation, matrix = fit_preparation(examples, scaled=True, components=None, kinds=None)
    rows = loans.drop("risk")
    assert (preparation.table(rows) == matrix).all()
    assert (preparation.table(rows.to_dicts()) == matrix).all()
    columns = {field.name: rows[field.name] for field in signature_of(preparation, LABELS).inputs}
    tensors = {name: column.to_numpy() for name, column in columns.items()}
    assert (preparation.tensors(tensors) == matrix).all()
    tall = {name: tensor[:, None] for name, tensor in tensors.items()}
    assert (preparation.tensors(tall) == matrix).all()
    with pytest.raises(InvalidInput, match="one value a row"):
        preparation.tensors({name: np.zeros((2, 3)) for name in tensors})
    assert features_of(preparation, loans, ("risk",)).shape == matrix.shape
    assert features_of(preparation, loans.to_dicts(), ("risk",)).shape == matrix.shape


def test_images_give_the_same_features_on_every_way(painted: ImageSet) -> None:
    images = preprocess_images(painted)
    examples = gather(images, target=None, groups=None, name=None, workspace=None)
    preparation, matrix = fit_preparation(examples, scaled=True, components=None, kinds=None)
    assert preparation.transforms == images.transforms
    assert (features_of(preparation, painted) == matrix).all()
    raw = [image.pixels for image in painted]
    metas = [image.meta for image in painted]
    assert (preparation.images(raw, metas) == matrix).all()
    assert (preparation.tensors({"image": np.stack(raw)}) == matrix).all()
    with pytest.raises(InvalidInput, match=r"come to the shape \(12, 12\)"):
        preparation.images([raw[0][:5]], metas[:1])
    with pytest.raises(InvalidInput, match="one input 'image'"):
        preparation.tensors({"picture": np.stack(raw)})
    with pytest.raises(InvalidInput, match="rows of a table, not images"):
        features_of(Preparation(Encoding.fit(np.eye(3))), painted)


def test_it_survives_json_to_the_last_bit(painted: ImageSet) -> None:
    examples = gather(
        preprocess_images(painted), target=None, groups=None, name=None, workspace=None
    )
    preparation, _ = fit_preparation(examples, scaled=True, components=4, kinds=None)
    back = Preparation.from_json(preparation.to_json())
    assert back == preparation
    assert back.to_json() == preparation.to_json()
    assert (features_of(back, painted) == features_of(preparation, painted)).all()


@pytest.mark.parametrize("change", ["transforms", "encoding", "bytes"])
def test_altered_json_is_corrupt(change: str, painted: ImageSet) -> None:
    examples = gather(painted, target=None, groups=None, name=None, workspace=None)
    preparation, _ = fit_preparation(examples, scaled=True, components=None, kinds=None)
    data = json.loads(preparation.to_json())
    if change == "transforms":
        data["transforms"] = [{"type": "run", "command": "ls"}]
    else:
        data["encoding"]["shape"] = [3, 3]
    text = b"{" if change == "bytes" else json.dumps(data).encode()
    with pytest.raises(Corrupt):
        Preparation.from_json(text)


def test_signatures(painted: ImageSet, loans: pl.DataFrame, workspace: Workspace) -> None:
    examples = gather(painted, target=None, groups=None, name=None, workspace=None)
    preparation, _ = fit_preparation(examples, scaled=False, components=None, kinds=None)
    signature = signature_of(preparation, LABELS)
    assert [(f.name, f.datatype, f.shape) for f in signature.inputs] == [
        ("image", "FP32", (-1, -1, -1))
    ]
    assert [(f.name, f.datatype, f.shape) for f in signature.outputs] == [
        ("label", "BYTES", (-1,)),
        ("probabilities", "FP64", (-1, 2)),
    ]
    frame = loans.with_columns(old=pl.col("amount") > 1000)
    examples = gather(frame, target="risk", groups=None, name=None, workspace=workspace)
    preparation, _ = fit_preparation(examples, scaled=False, components=None, kinds=None)
    assert [(f.name, f.datatype) for f in signature_of(preparation, LABELS).inputs] == [
        ("age", "FP64"), ("job", "BYTES"), ("amount", "FP64"), ("old", "BOOL"),
    ]  # fmt: skip


def test_places_are_spread_evenly() -> None:
    assert evenly(3, 5).tolist() == [0, 1, 2]
    assert evenly(101, 5).tolist() == [0, 25, 50, 75, 100]
