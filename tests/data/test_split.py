"""Splits of image sets, tables, frames and arrays: what is kept together, and what is refused."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from sklearn.model_selection import train_test_split

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.dataset import selected_rows
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import plan_split, split_data


@pytest.fixture
def xrays(datasets, workspace):
    return read_images(datasets / "medical/pneumonia_dicom", workspace=workspace)


def write(folder, pictures):
    """Write PNG files: a mapping from path to array."""
    for path, array in pictures.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(array).save(folder / path)
    return folder


def noise(seed, side=16):
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def picture(seed, side=64):
    """Smooth and unlike any other, as pictures are."""
    rough = Pillow.fromarray(noise(seed, 6)).resize((side, side), Pillow.Resampling.BICUBIC)
    return np.asarray(rough)


def test_patients_stay_on_one_side_and_shares_are_exact(xrays):
    train, test = split_data(xrays, 0.2)
    assert (len(train), len(test)) == (640, 160)
    assert Counter(test.labels.tolist()) == {"normal": 80, "pneumonia": 80}
    assert not set(train.groups.tolist()) & set(test.groups.tolist())
    assert set(train.ids) | set(test.ids) == set(xrays.ids)
    assert test.split.grouped_by == "patient"
    assert test.split.groups == 389
    assert "normal: 320 and 80" in str(test.split)


def test_without_groups_patients_are_torn_apart_and_it_is_said(xrays):
    train, test = split_data(xrays, 160, group=None)
    assert set(train.groups.tolist()) & set(test.groups.tolist())
    assert test.split.grouped_by is None
    assert len(test) == 160


def test_sides_are_the_same_each_time_and_in_another_process(xrays, workspace):
    train, test = split_data(xrays, 0.25, seed=3)
    again, _ = split_data(xrays, 0.25, seed=3)
    other, _ = split_data(xrays, 0.25, seed=4)
    assert train.node == again.node
    assert set(train.ids) != set(other.ids)
    code = (
        "import json, sys; from lepton_ai.data.catalog import open_dataset\n"
        "from lepton_ai.data.split import split_data\n"
        f"images = open_dataset({xrays.ref!r})\n"
        "print(json.dumps(split_data(images, 0.25, seed=3)[1].ids))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == list(test.ids)


def test_each_side_has_its_place_in_the_lineage(xrays, workspace):
    images = preprocess_images(xrays)
    train, test = split_data(images, 0.2, seed=7)
    lineage = workspace.lineage
    for side, other, name in ((train, test, "train"), (test, train, "test")):
        assert side.node.kind == "split"
        assert lineage.parents(side.node.id) == [("dataset", xrays.node)]
        facts = lineage.get(side.node.id).facts
        assert (facts["side"], facts["seed"], facts["count"]) == (name, 7, len(side))
        assert facts["siblings"] == [other.node.id]
        assert [step["type"] for step in facts["transforms"]] == ["gaussian", "normalise"]
        rows = selected_rows(workspace, side.node)
        assert [xrays.ids[row] for row in rows] == list(side.ids)
    sources = {link.parent for link in lineage.ancestors(test.node.id) if link.role == "source"}
    assert len(sources) == 800


def test_selections_and_splits_of_splits_count_from_the_whole(xrays, workspace):
    train, _ = split_data(xrays, 0.5)
    fit, validate = split_data(train, 0.5, seed=1)
    assert not set(fit.ids) & set(validate.ids)
    rows = selected_rows(workspace, validate.node)
    assert [xrays.ids[row] for row in rows] == list(validate.ids)
    few = xrays[:10]
    assert few.node is None
    assert selected_rows(workspace, few.record()).tolist() == list(range(10))
    assert xrays[:10].record() == few.node
    assert xrays.record().kind == "dataset"


def test_exact_duplicates_stay_together(tmp_path, workspace):
    same = noise(0)
    pictures = {f"a/{i}.png": noise(i) for i in range(1, 20)}
    pictures |= {f"b/{i}.png": noise(100 + i) for i in range(1, 20)}
    pictures |= {"a/copy1.png": same, "a/copy2.png": same, "a/copy3.png": same}
    images = read_images(write(tmp_path / "set", pictures), name="set", workspace=workspace)
    names = {entry.id: entry.parts[0].path for entry in images.entries}
    for seed in range(10):
        train, test = split_data(images, 0.3, seed=seed)
        sides = [{names[i] for i in side.ids if "copy" in names[i]} for side in (train, test)]
        assert set() in sides
        (listed,) = test.split.duplicates
        assert {names[i] for i in listed} == {"a/copy1.png", "a/copy2.png", "a/copy3.png"}
    torn = [
        {names[i] for i in split_data(images, 0.5, duplicates="ignore", seed=seed)[1].ids}
        for seed in range(10)
    ]
    assert any(0 < len({"a/copy1.png", "a/copy2.png", "a/copy3.png"} & side) < 3 for side in torn)


def test_equal_images_with_other_labels_are_refused_by_name(tmp_path, workspace):
    pictures = {f"{c}/{i}.png": noise(ord(c) * 100 + i) for c in "ab" for i in range(5)}
    pictures |= {"a/one.png": noise(0), "b/two.png": noise(0)}
    images = read_images(write(tmp_path / "set", pictures), name="set", workspace=workspace)
    with pytest.raises(
        InvalidInput, match=r"exactly equal but have different labels: .*\(a\)"
    ) as e:
        split_data(images)
    assert "one.png" in str(e.value)
    assert "two.png" in str(e.value)
    train, test = split_data(images, duplicates="ignore")
    assert len(train) + len(test) == 12


def test_images_that_look_alike_are_reported(tmp_path, workspace):
    pictures = {f"a/{i}.png": picture(i) for i in range(12)}
    folder = write(tmp_path / "set", pictures)
    Pillow.fromarray(pictures["a/3.png"]).save(folder / "a" / "3again.jpg", quality=80)
    images = read_images(folder, name="set", workspace=workspace)
    place = {entry.parts[0].path: entry.id for entry in images.entries}
    pair = {place["a/3.png"], place["a/3again.jpg"]}
    apart = 0
    for seed in range(8):
        train, test = split_data(images, 0.4, seed=seed)
        found = [{near.train, near.test} for near in test.split.near_duplicates]
        if len(pair & set(train.ids)) == 1:
            apart += 1
            assert found == [pair]
            assert test.split.near_duplicates[0].correlation > 0.99
            assert "look alike" in str(test.split)
        else:
            assert found == []
    assert apart


def test_one_patient_cannot_be_parted(xrays):
    patient, count = Counter(xrays.groups.tolist()).most_common(1)[0]
    images = xrays[xrays.groups == patient]
    with pytest.raises(InvalidInput, match=f"all {count} items belong to one group by patient"):
        split_data(images)
    train, test = split_data(images, group=None)
    assert len(train) + len(test) == count


def test_without_labels_and_with_some(tmp_path, workspace):
    pictures = {f"{i}.png": noise(i) for i in range(10)}
    images = read_images(write(tmp_path / "x", pictures), name="x", workspace=workspace)
    assert images.labels is None
    train, test = split_data(images, 3)
    assert (len(train), len(test)) == (7, 3)
    assert test.split.classes == {}


def test_a_class_of_one_image_stays_in_training(tmp_path, workspace):
    pictures = {f"a/{i}.png": noise(i) for i in range(9)} | {"b/only.png": noise(99)}
    folder = write(tmp_path / "x", pictures)
    images = read_images(folder, name="x", label="folder", workspace=workspace)
    for seed in range(5):
        train, test = split_data(images, 0.2, seed=seed)
        assert "b" in train.labels
        assert test.split.notes == (
            "class 'b' is on the training side only: it has too few groups",
        )


# Tables, frames and arrays


@pytest.fixture
def nodules(datasets):
    return pl.read_csv(datasets / "medical/lung_nodules_r4hcr/Nodules.csv", null_values="NA")


def test_every_kind_of_frame_is_parted_alike(nodules, workspace):
    table = read_table(nodules, name="nodules", workspace=workspace)
    train, test = split_data(table, 0.2, target="malignant")
    assert len(test) == 200
    shares = [side.to_polars()["malignant"].mean() for side in (train, test)]
    assert shares[0] == pytest.approx(shares[1], abs=0.003)
    for frame in (nodules, nodules.lazy(), nodules.to_arrow(), nodules.to_pandas()):
        sides = split_data(frame, 0.2, target="malignant")
        kind = type(nodules) if isinstance(frame, pl.LazyFrame) else type(frame)
        assert all(isinstance(side, kind) for side in sides)
        for side, ours in zip(sides, (train, test), strict=True):
            if isinstance(side, pd.DataFrame):
                side = pl.from_pandas(side)
            assert pl.DataFrame(side).equals(ours.to_polars())
    assert test.node.kind == "split"


def test_pairs_of_arrays_keep_their_kinds():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    labels = np.arange(50) % 2
    (train, _), (test, of_test) = split_data((rows, labels), 0.2)
    assert (train.shape, test.shape) == ((40, 3), (10, 3))
    assert np.bincount(of_test).tolist() == [5, 5]
    label_of = {row.tobytes(): label for row, label in zip(rows, labels, strict=True)}
    assert [label_of[row.tobytes()] for row in test] == of_test.tolist()
    pair = pd.DataFrame(rows), pd.Series(labels, name="label")  # columns named 0, 1 and 2
    _, (frame, series) = split_data(pair, 0.2)
    np.testing.assert_array_equal(frame.to_numpy(), test)
    assert series.index.equals(frame.index)
    _, (_, plain) = split_data((rows.tolist(), labels.tolist()), 0.2)
    assert plain.tolist() == of_test.tolist()


def test_rows_of_a_named_group_stay_together():
    frame = pl.DataFrame(
        {"who": [i // 4 for i in range(40)], "x": range(40), "y": [i % 2 for i in range(40)]}
    )
    train, test = split_data(frame, 0.3, target="y", group="who")
    assert not set(train["who"]) & set(test["who"])
    assert len(test) == 12
    # Who is not known belongs to nobody else.
    unknown = frame.with_columns(who=pl.lit(None, dtype=pl.Int64))
    assert plan_split(unknown, 0.3, group="who")[1].groups == 40


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame])
def test_equal_rows_stay_together_whatever_their_label(make):
    frame = make({"x": [1, 1, 2, 3, 4, 5, 6, 7], "y": [0, 1, 0, 1, 0, 1, 0, 1]})
    for seed in range(10):
        rows, report = plan_split(frame, 3, target="y", seed=seed)
        assert len({0, 1} & set(rows[1].tolist())) in (0, 2)
        assert report.duplicates == (("0", "1"),)
        assert any("2 of 8 items equal another" in note for note in report.notes)


def test_duplicates_join_groups_through_one_another():
    # Rows 1 and 2 are equal, 3 and 4 too: groups a, b and c hang together.
    frame = pl.DataFrame(
        {"g": list("aabbccddee"), "x": [0, 1, 1, 2, 2, 5, 6, 7, 8, 9]},
    )
    for seed in range(6):
        rows, report = plan_split(frame, 4, group="g", seed=seed)
        assert report.groups == 3
        assert set(rows[1].tolist()) == {6, 7, 8, 9}


def test_nothing_but_duplicates_cannot_be_parted():
    frame = pl.DataFrame({"x": [1, 1, 1], "y": [0, 1, 0]})
    with pytest.raises(InvalidInput, match="hang together through exact duplicates"):
        split_data(frame, target="y")
    assert len(split_data(frame, 1, target="y", duplicates="ignore")[1]) == 1


def test_numbers_are_balanced_by_quantiles():
    values = np.random.default_rng(0).exponential(size=1000)
    (_, low), (_, high) = split_data((np.arange(1000)[:, None], values), 0.2)
    quantiles = [np.quantile(side, [0.1, 0.5, 0.9]) for side in (low, high)]
    np.testing.assert_allclose(quantiles[0], quantiles[1], rtol=0.1)
    report = plan_split((np.arange(1000)[:, None], values), 0.2)[1]
    assert len(report.classes) == 10
    assert {test for _, test in report.classes.values()} == {20}


def test_sizes_are_scikit_learns():
    rows, labels = np.arange(30)[:, None], np.arange(30) % 3
    for size in (0.1, 0.15, 0.33, 0.5, 7, np.float64(0.2), np.int64(9)):
        theirs = train_test_split(rows, test_size=size)[1]
        assert len(split_data((rows, labels), size)[1][1]) == len(theirs)


def test_another_column_to_balance():
    frame = pl.DataFrame({"x": range(40), "site": list("aaab") * 10})
    for stratify in ("site", frame["site"], frame["site"].to_numpy()):
        assert split_data(frame, 0.2, stratify=stratify)[1]["site"].to_list().count("b") == 2
    assert plan_split(frame, 0.2, stratify=False)[1].classes == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_size": 0}, "share between 0 and 1, or a number of items from 1 to 9; got 0"),
        ({"test_size": 10}, "from 1 to 9; got 10"),
        ({"test_size": 1.0}, "got 1.0"),
        ({"test_size": -0.1}, "got -0.1"),
        ({"test_size": True}, "got True"),
        ({"test_size": "half"}, "got 'half'"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"target": "z"}, r"target names the column 'z', which is not there; there are \['x'"),
        ({"group": "z"}, "group names the column 'z'"),
        ({"group": [1, 2]}, r"one value for each of the 10 items; got shape \(2,\)"),
        ({"stratify": "z"}, "stratify names the column 'z'"),
        ({"duplicates": "drop"}, "duplicates must be"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        split_data(pl.DataFrame({"x": range(10), "y": [0, 1] * 5}), **arguments)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pl.DataFrame({"x": [1]}), "two items or more; the data has 1"),
        (pl.DataFrame({"x": []}), "the data has 0"),
        (([[1], [2]], [1]), "X has 2 rows, but y has 1 labels"),
        ([1, 2, 3], "expected an ImageSet, a Table"),
        (None, "got NoneType"),
    ],
)
def test_wrong_data_is_refused(data, message):
    with pytest.raises(InvalidInput, match=message):
        split_data(data)


def test_image_sets_have_labels_of_their_own(xrays):
    with pytest.raises(InvalidInput, match="ImageSet has labels of its own"):
        split_data(xrays, target="label")
    with pytest.raises(InvalidInput, match="group must be one of patient, study, series"):
        split_data(xrays, group="hospital")
    assert isinstance(split_data(xrays, group="study")[0], ImageSet)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_are_parted_once_each_and_in_order(data):
    n = data.draw(st.integers(2, 60))
    frame = pl.DataFrame(
        {
            "x": data.draw(st.lists(st.integers(0, 30), min_size=n, max_size=n)),
            "y": data.draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n)),
            "g": data.draw(st.lists(st.integers(0, 20), min_size=n, max_size=n)),
        }
    )
    group = data.draw(st.sampled_from([None, "g"]))
    equal = ["x"] if group == "g" else ["x", "g"]
    together = frame.select(equal).rows() if group is None else frame["g"].to_list()
    if len(set(together)) == 1 or (group == "g" and frame["x"].n_unique() == 1):
        with pytest.raises(InvalidInput, match=r"one group|hang together"):
            plan_split(frame, 0.3, target="y", group=group, seed=n)
        return
    try:
        rows, report = plan_split(frame, 0.3, target="y", group=group, seed=n)
    except InvalidInput:
        assert group == "g"  # joined into one through equal rows
        return
    assert sorted(np.concatenate(rows).tolist()) == list(range(n))
    assert all((np.diff(side) > 0).all() for side in rows)
    assert (report.train, report.test) == (len(rows[0]), len(rows[1]))
    train, test = (frame[side.tolist()] for side in rows)
    assert not set(train.select(equal).rows()) & set(test.select(equal).rows())
    if group is not None:
        assert not set(train["g"].to_list()) & set(test["g"].to_list())
    assert report.classes == {
        name: (train["y"].to_list().count(name), test["y"].to_list().count(name))
        for name in sorted(set(frame["y"]))
    }


def test_by_time_the_latest_rows_are_the_test_side() -> None:
    frame = pl.DataFrame({"day": [3, 1, 2, 4, 4, 2], "x": range(6), "y": list("ababab")})
    train, test = split_data(frame, 2, target="y", time="day")
    assert (train["x"].to_list(), test["x"].to_list()) == ([0, 1, 2, 5], [3, 4])
    # All of one moment lie on one side, so the test side may be larger than was asked for.
    train, test = split_data(frame, 1, time="day")
    assert test["x"].to_list() == [3, 4]
    _, report = plan_split(frame, 0.5, time="day")
    assert (report.test, report.wanted, report.ordered_by) == (3, 3, "day")
    assert "(the latest by day)" in str(report)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time": "when"}, "when"),
        ({"time": "gap"}, "1 items without a moment"),
        ({"time": "same"}, "nothing is left to train on"),
        ({"time": "day", "group": "x"}, "leave out group="),
        ({"time": [1, 2]}, "one value for each"),
    ],
)
def test_what_cannot_be_parted_by_time_is_refused(options: dict[str, Any], said: str) -> None:
    frame = pl.DataFrame({"day": [1, 2, 3], "x": [1, 2, 3], "gap": [1, None, 3], "same": [1, 1, 1]})
    with pytest.raises(InvalidInput, match=said):
        split_data(frame, 1, **options)
