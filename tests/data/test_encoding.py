"""Encodings against scikit-learn's imputer, scaler, encoder and PCA, and against themselves."""

import datetime
import timeit

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.encoders import Array, Category, Impute, Project, Standardise
from lepton_ai.data.encoding import Encoding


@pytest.fixture
def patients():
    return pl.DataFrame(
        {
            "age": [63.0, None, 41.0, 77.0],
            "packs": [10, 0, 3, 40],
            "smoker": [True, False, None, True],
            "lobe": ["upper", "lower", None, "upper"],
            "seen": [
                datetime.datetime(1970, 1, 2, 12),
                datetime.datetime(1970, 1, 1),
                datetime.datetime(1970, 1, 3),
                None,
            ],
        }
    )


def test_every_kind_of_column_by_hand(patients):
    encoding = Encoding.fit(patients, standardise=False)
    assert encoding.feature_names == [
        "age", "packs", "smoker", "lobe=lower", "lobe=upper", "missing(lobe)", "seen",
        "missing(age)", "missing(smoker)", "missing(seen)",
    ]  # fmt: skip
    expected = [
        [63, 10, 1, 0, 1, 0, 1.5, 0, 0, 0],
        [63, 0, 0, 1, 0, 0, 0.0, 1, 0, 0],  # the median of 41, 63, 77
        [41, 3, 1, 0, 0, 1, 2.0, 0, 1, 0],  # of 0, 1, 1
        [77, 40, 1, 0, 1, 0, 1.5, 0, 0, 1],
    ]
    assert encoding.apply(patients).tolist() == expected


def test_numbers_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    frame = load_breast_cancer(as_frame=True).data
    frame = frame.mask(rng.random(frame.shape) < 0.03)
    train, test = frame.iloc[:400], frame.iloc[400:]
    assert train.isna().any().all()
    # Their scaler would scale the indicators too, so it only sees the numbers.
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(train)
    gaps = test.isna().to_numpy().astype(float)
    encoding = Encoding.fit(train)
    ours = encoding.apply(test)
    np.testing.assert_allclose(ours[:, :30], numbers.transform(test), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(ours[:, 30:], gaps)
    assert encoding.feature_names[30] == "missing(mean radius)"


def test_categories_as_scikit_learn_does(datasets):
    frame = pd.read_csv(datasets / "medical/lung_nodules_r4hcr/Nodules.csv")
    text = ["sex", "location", "spiculate", "smoke.status"]
    numbers = ["age", "num.annotated", "diameter"]
    train, test = frame.iloc[:700].copy(), frame.iloc[700:].copy()
    train = train[train["location"] != "Lingular Segment"]  # so the test rows hold an unknown
    assert (test["location"] == "Lingular Segment").any()
    theirs = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
        ]
    ).fit(train)
    order = [*numbers, *text]
    encoding = Encoding.fit(train[order])
    ours = encoding.apply(test[order])
    expected = theirs.transform(test)
    place = [name.replace("=", "_") for name in encoding.feature_names]
    names = [name.split("__")[1] for name in theirs.get_feature_names_out()]
    if train[text].isna().any().any():
        names = [f"missing({name[:-4]})" if name.endswith("_nan") else name for name in names]
    order_of = [place.index(name) for name in names]
    np.testing.assert_allclose(ours[:, order_of], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("components", [10, 0.9])
def test_images_as_scikit_learns_pca(components):
    images = load_digits().images  # has constant pixels
    flat = images.reshape(len(images), -1)
    theirs = make_pipeline(StandardScaler(), PCA(components, svd_solver="full")).fit(flat[:1000])
    encoding = Encoding.fit(images[:1000], components=components)
    ours, expected = encoding.apply(images[1000:]), theirs.transform(flat[1000:])
    # A sign is a convention: ours makes the largest entry positive, as theirs does.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        encoding.steps[-1].explained.values, theirs[-1].explained_variance_ratio_, atol=1e-12
    )
    assert encoding.feature_names[:2] == ["component 1", "component 2"]


def test_constant_features_become_zero_exactly():
    data = np.full((7, 2), 0.1)
    data[:, 1] = np.arange(7)
    assert not Encoding.fit(data).apply(data)[:, 0].any()


def test_arrays_have_gaps_filled_and_are_named():
    data = np.array([[1.0, 2.0], [np.nan, 4.0], [3.0, 9.0]])
    encoding = Encoding.fit(data, standardise=False)
    assert encoding.feature_names == ["x0", "x1", "missing(x0)"]
    assert encoding.apply(np.array([[np.nan, np.nan]])).tolist() == [[2, 4, 1]]
    assert Encoding.fit(np.zeros((2, 2, 3))).feature_names[4] == "pixel (1, 1)"


VALUES = {
    "number": st.none() | st.floats(-1e6, 1e6) | st.integers(-1000, 1000),
    "boolean": st.none() | st.booleans(),
    "category": st.none() | st.sampled_from(["a", "b", "ü"]),
    "date": st.none() | st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries(VALUES), min_size=2, max_size=12),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_records_frames_and_json_agree_to_the_last_bit(records, standardise, components):
    first = {"number": 1, "boolean": True, "category": "a", "date": datetime.datetime(2020, 5, 1)}
    records = [first, *records]
    columns = {name: [record[name] for record in records] for name in VALUES}
    schema = {
        "number": pl.Float64, "boolean": pl.Boolean, "category": pl.String,
        "date": pl.Datetime("us"),
    }  # fmt: skip
    frame = pl.DataFrame(
        columns | {"number": [None if v is None else float(v) for v in columns["number"]]},
        schema=schema,
    )
    kinds = {name: name for name in VALUES}
    encoding = Encoding.fit(frame, kinds, standardise=standardise, components=components)
    matrix = encoding.apply(frame)
    assert np.isfinite(matrix).all()
    back = Encoding.from_json(encoding.to_json())
    assert back == encoding
    written = msgspec.json.decode(msgspec.json.encode(records))  # as a request carries them
    for data in (records, written, columns, frame.to_pandas(), frame.to_arrow()):
        np.testing.assert_array_equal(back.apply(data), matrix)
    if components is None:  # a product of one row may round otherwise than one of many
        for row, record in enumerate(records):
            np.testing.assert_array_equal(back.apply([record])[0], matrix[row])
    else:
        ones = np.concatenate([back.apply([record]) for record in records])
        np.testing.assert_allclose(ones, matrix, rtol=0, atol=1e-9 * max(1, abs(matrix).max()))


def test_unknown_and_missing_categories():
    encoding = Encoding.fit({"lobe": ["a", "b", "a"]}, standardise=False)
    assert encoding.apply([{"lobe": "z"}, {"lobe": None}, {"lobe": "b"}]).tolist() == [
        [0, 0], [0, 0], [0, 1],
    ]  # fmt: skip


def test_the_most_frequent_categories_are_kept():
    encoding = Encoding.fit({"c": ["x", "y", "y", "z", "z", "w"]}, max_categories=3)
    assert encoding.feature_names == ["c=w", "c=y", "c=z"]  # of w and x, the first by name


def test_numbers_as_categories_are_alike_in_frames_and_requests():
    encoding = Encoding.fit({"zip": np.array([8001, 8002, 8001])}, {"zip": "category"})
    assert encoding.feature_names == ["zip=8001", "zip=8002"]
    records = [{"zip": 8002}, {"zip": 8002.0}, {"zip": "8002"}]
    assert encoding.apply(records).tolist() == [[0, 1]] * 3
    flags = Encoding.fit({"flag": [True, False]}, {"flag": "category"})
    assert flags.feature_names == ["flag=false", "flag=true"]


def test_dates_of_any_form_are_days_in_utc():
    encoding = Encoding.fit(
        {"at": np.array(["1970-01-01", "1970-01-11"], "M8[D]")}, standardise=False
    )
    forms = [
        "1970-01-02",
        "1970-01-02T01:00:00+01:00",
        "1970-01-02T00:00:00Z",
        datetime.date(1970, 1, 2),
        datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC),
        np.datetime64("1970-01-02"),
    ]
    assert encoding.apply([{"at": form} for form in forms]).tolist() == [[1.0]] * len(forms)
    zone = pl.DataFrame({"at": forms[:1]}).select(
        pl.col("at").str.to_datetime(time_zone="Europe/Zurich")
    )
    assert encoding.apply(zone).tolist() == [[1 - 1 / 24]]


def test_identifiers_and_empty_columns_are_left_out_with_a_reason():
    n = 30
    frame = pl.DataFrame(
        {
            "UDI": range(1, n + 1),
            "product": [f"M{i}" for i in range(n)],
            "nothing": [None] * n,
            "x": [float(i % 7) for i in range(n)],
        }
    )
    encoding = Encoding.fit(frame)
    assert encoding.feature_names == ["x"]
    assert {skip.column: skip.reason[:9] for skip in encoding.skipped} == {
        "UDI": "is differ", "product": "is differ", "nothing": "holds no ",
    }  # fmt: skip
    half = frame[[row for row in range(n) if row % 4]]  # what a split leaves of it
    assert Encoding.fit(half).feature_names == ["x"]
    doses = frame.select(dose=10 * pl.col("UDI"))  # sorted, but no count of the rows
    assert Encoding.fit(doses).feature_names == ["dose"]
    # A record may carry what is skipped, or not.
    np.testing.assert_array_equal(encoding.apply([{"x": 3}]), encoding.apply([{"x": 3, "UDI": 9}]))
    assert Encoding.fit(frame, {"UDI": "number"}).feature_names == ["UDI", "x"]
    assert Encoding.fit(frame, {"x": "skip", "UDI": "number"}).feature_names == ["UDI"]
    with pytest.raises(InvalidInput, match="no column is of use: 'nothing' holds no value"):
        Encoding.fit(frame[["nothing"]])


def test_a_message_names_ten_columns_of_many():
    encoding = Encoding.fit({f"c{number}": [1.0, 2.5, 0.5] for number in range(300)})
    with pytest.raises(
        InvalidInput, match=r"'c10' and 289 more\. Expected c0 .* and 290 more;"
    ) as e:
        encoding.apply([{"c0": 1.0}])
    assert len(str(e.value)) < 400


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"age": 1, "sex": "F"}, r"missing: 'on'"),
        (
            {"age": 1, "sex": "F", "on": True, "x": 1},
            r"unknown: 'x'\. Expected age \(number\), sex",
        ),
        ({"agee": 1, "sex": "F", "on": True}, "did you mean 'age' by 'agee'"),
        ({"age": "63", "sex": "F", "on": True}, r"'age' expects a number; got '63' \(str\)"),
        ({"age": True, "sex": "F", "on": True}, r"'age' expects a number; got True \(bool\)"),
        ({"age": [1], "sex": "F", "on": True}, r"'age' expects a number; got \[1\] \(list\)"),
        ({"age": 10**400, "sex": "F", "on": True}, "beyond 64 bits"),
        ({"age": float("inf"), "sex": "F", "on": True}, "'age' holds an infinite number in row 0"),
        ({"age": 1, "sex": "F", "on": "yes"}, "'on' expects true or false; got 'yes'"),
        ({"age": 1, "sex": "F", "on": [1]}, "'on' expects true or false"),
        ("age", "a record is a mapping"),
    ],
)
def test_a_wrong_record_is_refused_by_name(record, message):
    encoding = Encoding.fit({"age": [1, 2.5], "sex": ["F", "M"], "on": [True, False]})
    good = {"age": 1, "sex": "F", "on": 0}
    assert encoding.apply([good]).shape == (1, 4)
    with pytest.raises(InvalidInput, match=message):
        encoding.apply([record])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": []}, "the data has none"),
        ({}, "the data has none"),
        ({"a": [1, 2], "b": [1]}, "differ in length"),
        ({"a": [1, "x"]}, "'a' expects text; got 1 "),
        ({"a": [float("inf"), 1]}, "infinite number in row 0"),
        ({"a": 3}, "must be a list"),
        (pl.DataFrame({"a": [[1], [2]]}), r"'a' holds List\(Int64\), which no encoding reads"),
        (pl.DataFrame({"a": [datetime.timedelta(1)]}), "'a' holds Duration"),
        (np.zeros((0, 3)), "at least one row"),
        (np.array([["a"]]), "array of numbers"),
        (5, "got int"),
    ],
)
def test_wrong_training_data_is_refused(data, message):
    with pytest.raises(InvalidInput, match=message):
        Encoding.fit(data)


def test_wrong_arguments_are_refused():
    with pytest.raises(InvalidInput, match="kinds names columns that are not there"):
        Encoding.fit({"a": [1, 2]}, {"b": "number"})
    with pytest.raises(InvalidInput, match="must be one of"):
        Encoding.fit({"a": [1, 2]}, {"a": "colour"})
    for components in (0, 1.5, True, -1):
        with pytest.raises(InvalidInput, match="components must be"):
            Encoding.fit(np.eye(3), components=components)
    images = Encoding.fit(np.eye(4).reshape(4, 2, 2))
    with pytest.raises(InvalidInput, match=r"shape \(rows, 2, 2\); got shape \(1, 3, 3\)"):
        images.apply(np.zeros((1, 3, 3)))


def test_altered_encodings_are_refused():
    whole = Encoding.fit(np.random.default_rng(0).normal(size=(9, 4)), components=2)
    assert [type(step) for step in whole.steps] == [Impute, Standardise, Project]
    cut = whole.to_json().replace(b'"shape":[4]', b'"shape":[3]', 1)
    for data in (b"", b"{}x", b'{"columns":[{"type":"pickle"}]}', cut):
        with pytest.raises(Corrupt):
            Encoding.from_json(data)
    misfit = msgspec.structs.replace(whole, shape=(5,))
    with pytest.raises(Corrupt, match="do not fit"):
        Encoding.from_json(misfit.to_json())


@given(st.lists(st.floats(allow_nan=True), max_size=20))
def test_arrays_are_kept_to_the_last_bit(values):
    array = np.array(values)
    back = msgspec.json.decode(msgspec.json.encode(Array.of(array)), type=Array)
    assert back.values.tobytes() == array.tobytes()


def test_more_components_than_rows_gives_as_many_as_there_are():
    few = np.random.default_rng(0).normal(size=(3, 50))
    assert Encoding.fit(few, components=60).apply(few).shape == (3, 3)
    one = Encoding.fit(few[:1], components=5).apply(few)
    assert np.isfinite(one).all()


def test_one_record_takes_far_less_than_scikit_learn():
    frame, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    encoding = Encoding.fit(frame)
    theirs = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(frame.to_numpy())
    record, row = frame.iloc[0].to_dict(), frame.to_numpy()[:1]
    np.testing.assert_allclose(encoding.apply([record]), theirs.transform(row), atol=1e-12)
    ours = min(timeit.repeat(lambda: encoding.apply([record]), number=200, repeat=5))
    other = min(timeit.repeat(lambda: theirs.transform(row), number=200, repeat=5))
    assert ours < other / 3


def test_categories_in_place_of_the_missing():
    step = Category.fit("c", np.array(["b", None, "a"], dtype=object), 10)
    assert (step.categories, step.missing) == (("a", "b"), True)
