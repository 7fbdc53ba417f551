"""Labels from folders and tables."""

from pathlib import Path

import pytest

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.folder import class_folder
from lepton_ai.data.images.labels import LabelTable, are_classes, dicom_tag


def table(tmp_path: Path, text: str) -> LabelTable:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return LabelTable(path)


def test_class_folders() -> None:
    assert class_folder("cat/1.png") == "cat"
    assert class_folder("train/cat/deep/1.png") == "cat"
    assert class_folder("TEST/dog/1.png") == "dog"
    assert class_folder("1.png") is None
    assert class_folder("train/1.png") is None


def test_folders_that_look_like_classes() -> None:
    assert are_classes(["a", "a", "b", "b"], [None] * 4)
    assert are_classes(["a", "a", "b", "b"], ["1", "2", "3", "4"])
    assert are_classes(["a", "a", "b", "b"], ["1", "1", "2", "3"])
    # One patient a folder: an archive, no classes.
    assert not are_classes(["a", "a", "b", "b"], ["1", "1", "2", "2"])
    assert not are_classes(["a", "a", "b"], [None] * 3)
    assert not are_classes(["a", "a", "a"], [None] * 3)
    assert not are_classes(["a", "a", "b", "b", None], [None] * 5)
    assert not are_classes([], [])


@pytest.mark.parametrize(
    ("key", "paths", "uids"),
    [
        ("a/x.nii.gz", ["a/x.nii.gz"], []),
        ("./a/x.nii.gz", ["a/x.nii.gz"], []),
        ("a\\x.nii.gz", ["a/x.nii.gz"], []),
        ("a/x", ["a/x.nii.gz"], []),
        ("x.nii.gz", ["a/x.nii.gz"], []),
        ("x", ["a/x.nii.gz"], []),
        ("study/series", ["study/series/1.dcm", "study/series/2.dcm"], []),
        ("series", ["study/series/1.dcm", "study/series/2.dcm"], []),
        ("study", ["study/series/1.dcm", "study/series/2.dcm"], []),
        ("1.2.3", ["1.dcm"], ["1.2.3", "1.2", "P1"]),
        ("P1", ["1.dcm"], ["1.2.3", "1.2", "P1"]),
    ],
)
def test_what_a_row_may_name(key: str, paths: list[str], uids: list[str], tmp_path: Path) -> None:
    rows = table(tmp_path, f"file,label\n{key},ill\nother,well\n")
    assert rows.find(paths, uids) == "ill"
    assert rows.find(["b/y.dcm"], ["9"]) is None
    assert len(rows.used) == 1


def test_the_closest_name_counts(tmp_path: Path) -> None:
    rows = table(tmp_path, "patient,label\nP1,well\na/1.dcm,ill\n")
    assert rows.find(["a/1.dcm"], ["P1"]) == "ill"
    assert rows.find(["a/2.dcm"], ["P1"]) == "well"


@pytest.mark.parametrize(
    "text",
    [
        "file,label\nx,1\n",
        "\ufefffile;label\nx;1\n",
        "file\tlabel\nx\t1\n",
        "label,file\n1,x\n",
        "age,file,sex,diagnosis\n5,x,f,1\n",
        "anything,class\nx,1\n",
        "one,two\nx,1\n",
        'file,label\n"x"," 1 "\n\n',
    ],
)
def test_forms_of_tables(text: str, tmp_path: Path) -> None:
    assert table(tmp_path, text).find(["x"], []) == "1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header"),
        ("file,label\n", "needs a header"),
        ("a,b,c\n1,2,3\n", "name the one with the files"),
        ("file,label\nx,1\nx,2\n", "has a second label"),
        ("file,label,age\nx\n", "1 columns of 3"),
    ],
)
def test_tables_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        table(tmp_path, text)


def test_rows_that_disagree(tmp_path: Path) -> None:
    rows = table(tmp_path, "file,label\n1.dcm,ill\n2.dcm,well\n")
    with pytest.raises(InvalidInput, match=r"the labels \['ill', 'well'\]"):
        rows.find(["1.dcm", "2.dcm"], [])


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        LabelTable(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    with pytest.raises(InvalidInput, match="UTF-8"):
        LabelTable(tmp_path / "labels.csv")


def test_keywords() -> None:
    assert dicom_tag("BodyPartExamined") == 0x00180015
    with pytest.raises(InvalidInput, match="did you mean BodyPartExamined"):
        dicom_tag("BodyPartExamind")
    for keyword in ("Rows", "PixelData", "ReferencedStudySequence"):
        with pytest.raises(InvalidInput, match="is no text"):
            dicom_tag(keyword)
