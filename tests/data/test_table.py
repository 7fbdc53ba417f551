"""Tables and the catalog: files and frames in, the same rows out, versions and lineage."""

import datetime
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.io import arff

from lepton_ai.core.errors import Corrupt, InvalidInput, MissingExtra, NotFound
from lepton_ai.data.catalog import datasets as list_datasets
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.data.table import Table


@pytest.fixture
def frame():
    return pl.DataFrame(
        {
            "age": [63, None, 41],
            "dose": [1.5, 2.5, None],
            "smoker": [True, False, None],
            "lobe": ["upper", "", None],
            "seen": [datetime.date(2024, 3, 31), None, datetime.date(1999, 12, 31)],
        }
    )


def test_real_csv_is_what_pandas_reads(datasets, workspace):
    path = datasets / "manufacturing/ai4i2020/ai4i2020.csv"
    table = read_table(path, workspace=workspace)
    theirs = pd.read_csv(path)
    assert (len(table), table.name) == (10000, "ai4i2020")
    assert table.columns == list(theirs.columns)
    for name in table.columns:
        np.testing.assert_array_equal(table[name], theirs[name].to_numpy())
    pd.testing.assert_frame_equal(table.to_pandas(), theirs, check_dtype=False)


def test_the_source_file_is_in_the_lineage_and_found_by_its_path(datasets, workspace):
    path = datasets / "medical/lung_nodules_r4hcr/Nodules.csv"
    table = read_table(path, workspace=workspace)
    ((role, source),) = workspace.lineage.parents(table.node.id)
    assert (role, source.kind) == ("source", "source")
    assert workspace.lineage.resolve(str(path)) == source
    assert workspace.objects.get(source.digest) == path.read_bytes()


def test_the_same_content_is_the_same_version(frame, workspace):
    first = read_table(frame, name="patients", workspace=workspace)
    chunked = pl.concat([frame[:1], frame[1:]], rechunk=False)
    for again in (frame, chunked, frame.to_arrow(), frame.to_dict(as_series=False)):
        assert read_table(again, name="patients", workspace=workspace).node == first.node
    second = read_table(frame[:2], name="patients", workspace=workspace)
    assert (first.version, second.version) == (1, 2)
    assert read_table(frame, name="others", workspace=workspace).version == 1


def test_every_form_comes_out(frame, workspace):
    table = read_table(frame, name="patients", workspace=workspace)
    assert table.to_polars().equals(frame)
    assert table.to_arrow().equals(frame.to_arrow())
    assert pl.from_pandas(table.to_pandas())["age"].to_list() == [63, None, 41]
    assert table.to_polars(["lobe", "age"]).columns == ["lobe", "age"]
    numbers = table[["age", "smoker"]].to_numpy()
    np.testing.assert_array_equal(numbers, [[63, 1], [np.nan, 0], [41, np.nan]])
    with pytest.raises(InvalidInput, match=r"\['lobe', 'seen'\] do not hold numbers"):
        table.to_numpy()


def test_selections(frame, workspace):
    table = read_table(frame, name="patients", workspace=workspace)
    some = table[["lobe", "age"]][[2, 0]]
    assert some.to_polars().rows() == [(None, 41), ("upper", 63)]
    assert some[1:].to_polars().rows() == [("upper", 63)]
    assert len(table[[True, False, True]]) == 2
    assert some.schema == {"lobe": "String", "age": "Int64"}
    assert some.node is None
    node = some.record()
    assert node.facts["columns"] == ["lobe", "age"]
    opened = open_dataset(node.id, workspace)
    assert opened.to_polars().equals(some.to_polars())
    assert opened.node == node
    for wrong in ("nothing", ["age", "nothing"]):
        with pytest.raises(InvalidInput, match=r"no columns \['nothing'\]; there are \['age'"):
            table[wrong]
    with pytest.raises(InvalidInput, match="0 to 2"):
        table[[3]]


def test_it_shows_what_it_is(frame, workspace):
    table = read_table(frame, name="patients", workspace=workspace)
    assert repr(table).startswith("Table patients:1, 3 rows\n  age: Int64\n")
    assert repr(table[:2]).startswith("Table patients:1, 2 of 3 rows")
    assert "<table" in table._repr_html_()
    assert table.summary().columns[0] == "statistic"


@pytest.mark.parametrize(
    ("name", "text", "arguments", "expected"),
    [
        ("a.csv", "x,y\n1,a\n2,NA\n", {}, [(1, "a"), (2, None)]),
        ("a.csv", "\ufeffx,y\r\n1,a\r\n", {}, [(1, "a")]),
        ("a.csv", "x;y\n1,5;a\n", {"decimal_comma": True}, [(1.5, "a")]),
        ("a.tsv", "x\ty\n1\ta,b\n", {}, [(1, "a,b")]),
        ("a.txt", "x|y\n1|a;b\n", {}, [(1, "a;b")]),
        ("a.csv", '"x, in mm","y"\n1,"a\nb"\n', {}, [(1, "a\nb")]),
        ("a.csv", "x,y\n1,-9\n", {"missing": ["-9"]}, [(1, None)]),
        ("a.csv", "x,y\n2024-03-31,a\n", {}, [(datetime.date(2024, 3, 31), "a")]),
        ("a.csv", "x\n" + "1\n" * 2000 + "1.5\n", {}, [(1.0,)] * 2000 + [(1.5,)]),
        ("a.jsonl", '{"x": 1, "y": null}\n{"x": 2, "y": "a"}\n', {}, [(1, None), (2, "a")]),
    ],
)
def test_text_files(tmp_path, workspace, name, text, arguments, expected):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    table = read_table(tmp_path / name, workspace=workspace, **arguments)
    assert table.to_polars().rows() == expected


def test_arff_is_what_scipy_reads(datasets, workspace):
    path = datasets / "finance/german_credit/credit-g.arff"
    table = read_table(path, workspace=workspace)
    rows, meta = arff.loadarff(path)
    assert (len(table), table.columns) == (1000, meta.names())
    for name in table.columns:
        theirs = rows[name]
        ours = table[name]
        expected = theirs.tolist() if theirs.dtype.kind == "f" else theirs.astype(str).tolist()
        assert ours.tolist() == expected


def test_arff_with_gaps_quotes_and_comments(tmp_path, workspace):
    (tmp_path / "a.arff").write_text(
        "% about\n@RELATION r\n@ATTRIBUTE 'the age' NUMERIC\n@attribute c {'a b',\"c,d\"}\n"
        "@DATA\n63,'a b'\n% more\n\n?,\"c,d\"\n1.5,?\n"
    )
    table = read_table(tmp_path / "a.arff", workspace=workspace).to_polars()
    assert table.columns == ["the age", "c"]
    assert table.rows() == [(63.0, "a b"), (None, "c,d"), (1.5, None)]


def test_other_encodings_and_parquet(tmp_path, workspace, frame):
    (tmp_path / "latin.csv").write_bytes("Straße\nZürich\n".encode("cp1252"))
    with pytest.raises(InvalidInput, match=r"latin\.csv cannot be read as a table: .*utf-8"):
        read_table(tmp_path / "latin.csv", workspace=workspace)
    table = read_table(tmp_path / "latin.csv", workspace=workspace, encoding="cp1252")
    assert table["Straße"].tolist() == ["Zürich"]
    frame.write_parquet(tmp_path / "frame.parquet")
    assert read_table(tmp_path / "frame.parquet", workspace=workspace).to_polars().equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", bytes(1000), "NUL bytes"),
        ("a.csv", b"x,y\n1,caf\xe9\n", "encoding='cp1252'"),
        ("a.csv", b"x,x\n1,2\n", r"the columns \['x'\] occur more than once"),
        ("a.csv", b"x,\n1,2\n", "every column needs a name"),
        ("a.csv", b"x,y\n1,2,3\n", "cannot be read as a table"),
        ("a.arff", b"@attribute x numeric\n", "there is no @data line"),
        ("a.arff", b"@attribute x relational\n@data\n", "line 1 is no attribute of numbers"),
        ("a.arff", b"@attribute x real\n@data\n{0 1}\n", "line 3: sparse"),
        ("a.arff", b"@attribute x real\n@data\n1,2\n", "line 3: ragged: 2 values for 1"),
        ("a.arff", b"@attribute x real\n@data\none\n", "cannot be read as a table: .*one"),
        ("a.parquet", b"PAR1 not", "cannot be read as a table"),
        ("a.docx", b"", r"ends in '\.docx'; tables are read from \.arff"),
    ],
)
def test_files_that_are_no_tables(tmp_path, workspace, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_table(tmp_path / name, workspace=workspace)
    assert list_datasets(workspace) == []


def test_missing_files_and_names(tmp_path, workspace, frame):
    with pytest.raises(NotFound, match="there is no file"):
        read_table(tmp_path / "no.csv", workspace=workspace)
    with pytest.raises(InvalidInput, match="needs a name"):
        read_table(frame, workspace=workspace)
    with pytest.raises(InvalidInput, match="cannot be the name of a dataset"):
        read_table(frame, name="a:b", workspace=workspace)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "got int"),
        ([1, 2], "got list"),
        ({"a": [1, 2], "b": [1]}, "got dict"),
        (pd.DataFrame({"a": [object(), 1]}), "object"),
        (pd.DataFrame(), "every column needs a name"),
    ],
)
def test_what_is_no_frame(data, message):
    with pytest.raises(InvalidInput, match=message):
        frame_of(data)


def test_without_pandas_or_arrow_the_extra_is_named(frame, workspace, monkeypatch):
    table = read_table(frame, name="patients", workspace=workspace)
    pandas = frame.to_pandas()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for use in (table.to_arrow, table.to_pandas, lambda: frame_of(pandas)):
        with pytest.raises(MissingExtra, match=r"pip install 'lepton-ai\[frames\]'"):
            use()
    assert table.to_polars().equals(frame)


def test_what_is_one():
    expected = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    records = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    categories = expected.with_columns(pl.col("b").cast(pl.Categorical))
    for data in (expected, expected.lazy(), records, expected.to_pandas(), categories):
        assert frame_of(data).equals(expected)


def test_altered_bytes_are_never_read(frame, workspace):
    table = read_table(frame, name="patients", workspace=workspace)
    for pack in (workspace.home / "objects").rglob("*"):
        if pack.is_file():
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(data)
    with pytest.raises(Corrupt):
        table.to_polars()


def test_the_catalog_lists_and_opens(frame, datasets, workspace):
    assert list_datasets(workspace) == []
    table = read_table(frame, name="patients", workspace=workspace)
    read_table(frame[:1], name="patients", workspace=workspace)
    images = read_images(datasets / "medical/pneumonia_dicom", workspace=workspace)
    listed = [(info.ref, info.format, info.count) for info in list_datasets(workspace)]
    assert listed == [
        ("patients:1", "table", 3), ("patients:2", "table", 1), ("pneumonia_dicom:1", "images", 800)
    ]  # fmt: skip
    assert [info.version for info in list_datasets(workspace, "patients")] == [1, 2]
    assert open_dataset("patients:1", workspace).to_polars().equals(frame)
    assert len(open_dataset("patients", workspace)) == 1
    assert isinstance(open_dataset("pneumonia_dicom"), ImageSet)  # the default workspace
    assert open_dataset(table.node.id, workspace).node == table.node
    for wrong in ("nobody", "patients:9"):
        with pytest.raises(NotFound):
            open_dataset(wrong, workspace)
    _, test = split_data(preprocess_images(images), 0.1)
    opened = open_dataset(test.node.id, workspace)
    assert opened.ids == test.ids
    assert opened.transforms == test.transforms
    assert opened.split == test.split
    np.testing.assert_array_equal(opened[:3].to_numpy(), test[:3].to_numpy())


def test_images_are_no_table(datasets, workspace):
    images = read_images(datasets / "medical/hippocampus_mr/study1", workspace=workspace)
    with pytest.raises(InvalidInput, match="is not a table"):
        Table.open(workspace, images.node)


def test_whole_numbers_beside_others_are_numbers(workspace):
    table = read_table({"a": [0, None, 2.5], "b": (1.5, 2, 3)}, name="numbers")
    assert table.to_polars().rows() == [(0.0, 1.5), (None, 2.0), (2.5, 3.0)]
    assert table.append({"a": [1, 0.5], "b": [1, 2]}).to_polars()["a"].to_list()[3:] == [1.0, 0.5]
    for odd in ([2**60 + 1, 0.5], [True, 0.5], [1, "a"], ["a", 1]):
        with pytest.raises(InvalidInput):
            read_table({"a": odd}, name="odd")
