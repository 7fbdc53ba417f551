"""Tables under attack: what is silently lost, pruned, overtaken or taken for something else."""

import datetime as dt
import decimal
import multiprocessing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import Unique, set_rules
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace


def opened(ref: str, workspace: Workspace | None = None) -> Table:
    table = open_dataset(ref, workspace)
    assert isinstance(table, Table)
    return table


def numbers(values: list[Any], kind: Any) -> pl.Series:
    """Return values of a type that is a number inside, such as a time in nanoseconds."""
    return pl.Series("a", values).cast(kind)


NANO, LIST, STRUCT = pl.Datetime("ns"), pl.List, pl.Struct


@pytest.mark.parametrize(
    "series",
    [
        numbers([1001], NANO), numbers([1001], pl.Duration("ns")), numbers([1001], pl.Time),
        numbers([[1001]], LIST(NANO)),
        numbers([{"t": 1001}], STRUCT({"t": NANO})), numbers([10**16], pl.Datetime("ms")),
        pl.Series("a", [[dt.time(1)]]), pl.Series("a", [{"t": dt.time(1)}]),
        pl.Series("a", [2**100], dtype=pl.Int128), pl.Series("a", [{}]),
        pl.Series("a", [[{"x": 1}], None]), pl.Series("a", [{"b": [{"x": 1}]}, {"b": None}]),
        pl.Series("a", [[[{"x": 1}], None]]),
        pl.Series("*", [1]), pl.Series("^a.*$", [1]),
    ],
    ids=lambda series: f"{series.name} {series.dtype}",
)  # fmt: skip
def test_what_would_change_is_refused(workspace: Workspace, series: pl.Series) -> None:
    with pytest.raises(InvalidInput):
        read_table(series.to_frame(), name="t")
    with pytest.raises(NotFound):
        open_dataset("t")


@pytest.mark.parametrize(
    "series",
    [
        numbers([[1001]], LIST(pl.Duration("ns"))),
        numbers([[1_000_000, None]], LIST(NANO)), numbers([[1001]], LIST(pl.Duration("ms"))),
        numbers([1001, None], pl.Duration("ms")), pl.Series("a", [dt.time(1, 2, 3, 4), None]),
        pl.Series("a", [["x"], ["y", None]], dtype=LIST(pl.Enum(["y", "x"]))),
        pl.Series("a", [{"e": "x"}, None], dtype=STRUCT({"e": pl.Enum(["y", "x"])})),
        pl.Series("a", [2**64 - 1, 0, None], dtype=pl.UInt64),
        pl.Series("a", [[2**64 - 1]], dtype=LIST(pl.UInt64)),
        pl.Series("a", [decimal.Decimal("1.23"), None], dtype=pl.Decimal(38, 20)),
        pl.Series("a", [b"\x00\xff", b"", None]), pl.Series("a", [None, None]),
        pl.Series("a", [[1, 2], [3, None]], dtype=pl.Array(pl.Int8, 2)),
        pl.Series("a", [dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
        pl.Series("a", [[{"x": [1, 2], "y": "q"}], []]), pl.Series("a", [{"x": 1}, None]),
        pl.Series("a", [float("nan"), -0.0, None, float("inf")]),
        numbers([1, None], pl.Datetime("us", "UTC")).dt.convert_time_zone("Europe/Kyiv"),
    ],
    ids=lambda series: f"{series.name} {series.dtype}",
)  # fmt: skip
def test_what_is_kept_comes_back(workspace: Workspace, series: pl.Series) -> None:
    table = read_table(series.to_frame(), name="t")
    for frame in (table.to_polars(), table.scan().collect(), pl.concat(table.frames())):
        assert_frame_equal(frame, series.to_frame())
    table = table.append(series.to_frame())
    assert_frame_equal(table.to_polars(), pl.concat([series.to_frame()] * 2))


EDGES: dict[str, list[Any]] = {
    "f": [float("nan"), -0.0, 0.0, 1.5, -1.5, float("inf"), None],
    "i": [-1, 0, 1, 2**53, None],
    "u": [0, 1, 2**64 - 1, None],
    "s": ["", "a", "A", "b", "a" * 16, "a" * 16 + "b", "é", "\U0010ffff" * 17, "a'", None],
    "d": [dt.date(2024, 1, 1), dt.date(1969, 12, 31), None],
    "t": [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 1), None],
    "b": [True, False, None],
    "m": [decimal.Decimal("1.10"), decimal.Decimal("-3.00"), None],
}
SCHEMA = {
    "f": pl.Float64, "i": pl.Int64, "u": pl.UInt64, "s": pl.String, "d": pl.Date,
    "t": pl.Datetime("us"), "b": pl.Boolean, "m": pl.Decimal(10, 2),
}  # fmt: skip
LITERALS: dict[str, list[str]] = {
    "f": ["0", "-0.0", "1.5", "1"], "i": ["0", "1", "1.5", "-1"], "u": ["0", "1"],
    "s": ["'a'", "''", "'A'", "'aaaaaaaaaaaaaaaa'", "'é'", "'z'"], "d": ["'2024-01-01'"],
    "t": ["'2024-01-01'"], "b": ["true", "false"], "m": ["1.1", "1.10", "-3"],
}  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from(sorted(LITERALS)))
    literals = st.sampled_from(LITERALS[column])
    kind = draw(st.sampled_from(["compare", "compare", "in", "null", "like", "both"]))
    negated = draw(st.sampled_from(["", "not "]))
    if kind == "in":
        words = ", ".join(draw(st.lists(literals, min_size=1, max_size=3)))
        return f"{column} {negated}in ({words})"
    if kind == "null":
        return f"{column} is {negated}null"
    if kind == "like":
        return f"s {negated}like '{draw(st.sampled_from(['a%', 'A%', '%b', 'a_', '%']))}'"
    operator = draw(st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="]))
    simple = f"{column} {operator} {draw(literals)}"
    if kind == "both":
        return f"{negated}({simple} {draw(st.sampled_from(['and', 'or']))} {draw(conditions())})"
    return simple


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of many small files, each with bounds of its own."""
    workspace = Workspace.open(tmp_path_factory.mktemp("edges") / "home")
    parts = [
        pl.DataFrame({n: [v[place % len(v)]] * 2 for n, v in EDGES.items()}, schema=SCHEMA)
        for place in range(10)
    ]
    parts += [pl.DataFrame({n: v[:2] for n, v in EDGES.items()}, schema=SCHEMA)]
    parts += [pl.DataFrame({n: [None] for n in EDGES}, schema=SCHEMA)]
    table = read_table(parts[0], name="edges", workspace=workspace)
    for part in parts[1:]:
        table = table.append(part)
    return table


@settings(max_examples=60, deadline=None)
@given(where=conditions())
def test_files_that_are_left_out_held_no_row(edges: Table, where: str) -> None:
    whole = edges.to_polars()
    try:
        wanted = whole.filter(tables.condition(where))
    except (InvalidInput, pl.exceptions.PolarsError):
        return
    assert_frame_equal(edges.scan(where=where).collect(), wanted)
    batches = [pl.from_arrow(batch) for batch in edges.batches(["s"], where)]
    found = [value for frame in batches for value in frame["s"].to_list()]  # type: ignore[index]
    assert found == wanted["s"].to_list()


@settings(max_examples=15, deadline=None)
@given(where=conditions())
def test_what_is_deleted_is_what_a_filter_finds(edges: Table, where: str) -> None:
    whole = edges.to_polars()
    try:
        goes = whole.select(tables.condition(where).fill_null(value=False).alias("goes"))["goes"]
        left = whole.filter(~goes)
    except (InvalidInput, pl.exceptions.PolarsError):
        return
    kept = edges.branch(f"b{len(edges.workspace.lineage.list('dataset'))}").delete(where)
    assert_frame_equal(kept.to_polars(), left, check_row_order=False)


def test_only_the_columns_that_are_asked_for_are_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lepton_ai.storage.cipher import SealedReader

    rows = pl.DataFrame({"n": range(200_000)}).with_columns(s=pl.col("n").hash().cast(pl.String))
    table = read_table(rows, name="t")
    read = [0]
    whole = SealedReader.pread

    def counted(self: Any, offset: int, size: int) -> bytes:
        data = whole(self, offset, size)
        read[0] += len(data)
        return data

    monkeypatch.setattr(SealedReader, "pread", counted)

    def cost(work: Any) -> int:
        read[0] = 0
        work()
        return read[0]

    everything = cost(lambda: list(table.batches()))
    assert everything > 0
    for work in (
        lambda: list(table.batches(["n"])),
        lambda: table.to_polars(["n"]),
        lambda: table.scan(["n"]).collect(),
        lambda: table.scan().select(pl.col("n").sum()).collect(),
        lambda: list(table.batches(["n"], "n > 5")),
    ):
        assert cost(work) < everything / 2
    with pytest.raises(InvalidInput, match="no columns"):
        list(table.batches(["x"]))


@pytest.mark.parametrize(
    "where",
    [
        "n = max(n)", "n > avg(n)", "count(*) > 1", "first(n) = 1", "n > var(n)", "covar(n, n) > 0",
        "n > quantile_cont(n, 0.5)", "listagg(s) = 'a'", "row_number() over () = 1",
        "sum(n) over (partition by s) > 1", "n in (select 1)", "exists (select 1)",
        "case when n = 1 then max(n) end = 1", "n = 'a'", "s > 1", "n", "null", "d > '2024-01-01'",
        "s = '\ud800'",
    ],
)  # fmt: skip
def test_a_condition_is_about_one_row_and_fits_the_columns(
    workspace: Workspace, where: str
) -> None:
    day = dt.date(2024, 1, 2)
    table = read_table({"n": [1, 2], "s": ["a", "b"], "d": [day, day]}, name="t")
    table = table.append({"n": [3], "s": ["c"], "d": [day]})
    for ask in (
        lambda: table.scan(where=where),
        lambda: list(table.batches(where=where)),
        lambda: table.delete(where),
        lambda: table.overwrite({"n": [9]}, where),
    ):
        with pytest.raises(InvalidInput) as raised:
            ask()
        assert "one row" in str(raised.value) or "as in SQL" in str(raised.value) or (
            "date '2024-05-31'" in str(raised.value)
        )  # fmt: skip
    assert opened("t").ref == table.ref
    assert len(table.delete("d > date '2024-01-01' and coalesce(n, 0) > 1 and length(s) = 1")) == 1


BIG = 2**53 + 1
DAY = dt.date(2024, 1, 2)
NOON = dt.datetime(2024, 1, 2, 12)


@pytest.mark.parametrize(
    ("there", "comes"),
    [
        (pl.Series([1.5]), [BIG]), (pl.Series([1]), [DAY]), (pl.Series([DAY]), [7]),
        (pl.Series([DAY]), [NOON]), (pl.Series([True]), [2]), (pl.Series([1]), [1.5]),
        (pl.Series([1]), [float("nan")]), (pl.Series([1.5], dtype=pl.Float32), [1e300]),
        (pl.Series([1.5], dtype=pl.Float32), [2**24 + 1]), (pl.Series(["a"]), [{"x": 1}]),
        (pl.Series([decimal.Decimal("1.00")], dtype=pl.Decimal(5, 2)), [decimal.Decimal("1.239")]),
        (pl.Series([NOON]), pl.Series([1], dtype=pl.Int64).cast(pl.Datetime("ns"))),
        (pl.Series(["1.10"]), [1.1]), (pl.Series([1], dtype=pl.Int8), [200]),
        (pl.Series([dt.timedelta(1)]), [1]),
    ],
    ids=lambda value: str(value)[-40:],
)  # fmt: skip
def test_rows_whose_values_would_change_are_refused(
    workspace: Workspace, there: pl.Series, comes: Any
) -> None:
    table = read_table({"v": there, "k": [1]}, name="t")
    rows = {"v": comes, "k": [2]}
    for change in (
        lambda: table.append(rows),
        lambda: table.upsert(rows, on="k"),
        lambda: table.overwrite(rows, "k = 1"),
    ):
        with pytest.raises(InvalidInput, match=r"holds|do not fit"):
            change()
    assert opened("t").version == 1


def test_rows_of_other_types_with_the_same_values_enter(workspace: Workspace) -> None:
    rows = {"f": [1.5], "i": [1], "s": ["a"], "t": [NOON], "d": [DAY]}
    table = read_table(pl.DataFrame(rows, schema_overrides={"f": pl.Float32}), name="t")
    midnight = dt.datetime(2024, 1, 2)
    table = table.append({"f": [0.1], "i": [2.0], "s": [7], "t": [DAY], "d": [midnight]})
    table = table.append({"f": ["2"], "i": ["3"], "s": [None], "t": [None], "d": [None]})
    assert table.to_polars()["f"].cast(pl.Float64).round(6).to_list() == [1.5, 0.1, 2.0]
    assert table.to_polars()["i"].to_list() == [1, 2, 3]
    assert table.to_polars()["s"].to_list() == ["a", "7", None]
    assert table.to_polars().select("t", "d").row(1) == (midnight, DAY)


def test_names_that_would_mean_something_else(workspace: Workspace) -> None:
    read_table({"a": [1]}, name="t")
    for name in ("default.t", "t#work", "#", ".t", "t.", "a..b"):
        with pytest.raises(InvalidInput):
            read_table({"a": [2]}, name=name)
    assert opened("t").to_polars()["a"].to_list() == [1]
    for name in ("a.b", "a.b.c", "b", "B", "é", "select", "main.t", "x" * 200):
        read_table({"a": [name]}, name=name)
    for name in ("a.b", "a.b.c", "b", "B", "é", "select", "main.t", "x" * 200):
        assert opened(name).to_polars()["a"].to_list() == [name]


def test_a_branch_is_dropped_alone(workspace: Workspace) -> None:
    table = read_table({"a": [1]}, name="t")
    table.branch("work").append({"a": [2]})
    tables.drop(workspace, "t#work")
    assert opened("t").to_polars()["a"].to_list() == [1]
    with pytest.raises(NotFound, match="no branch"):
        tables.drop(workspace, "t#work")
    assert opened("t").expire(keep=1).files > 0
    with pytest.raises(NotFound):
        opened("t#work").to_polars()
    assert list(workspace.verify()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pl.Int64, pl.UInt32), (pl.Int64, pl.Int32), (pl.Int16, pl.Int8), (pl.Int16, pl.UInt16),
        (pl.Int64, pl.Duration("us")), (pl.Int64, pl.Float64), (pl.String, pl.Enum(["a"])),
        (pl.Float64, pl.Float32), (pl.Datetime("us"), pl.Datetime("ns")),
    ],
)  # fmt: skip
def test_a_narrower_type_is_refused(workspace: Workspace, old: Any, new: Any) -> None:
    table = read_table(pl.DataFrame({"a": [None]}, schema={"a": old}), name="t")
    with pytest.raises(InvalidInput, match="without writing its rows anew"):
        table.evolve(types={"a": new})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pl.Int8, pl.Int16), (pl.UInt8, pl.Int16), (pl.UInt16, pl.Int64), (pl.Int32, pl.Int64),
        (pl.Float32, pl.Float64), (pl.Decimal(5, 2), pl.Decimal(9, 2)),
        (pl.Enum(["1"]), pl.String),
    ],
)  # fmt: skip
def test_a_wider_type_keeps_the_values(workspace: Workspace, old: Any, new: Any) -> None:
    rows = pl.DataFrame({"a": pl.Series([1, None]).cast(pl.String).cast(old)})
    table = read_table(rows, name="t").evolve(types={"a": new})
    assert_frame_equal(table.to_polars(), rows.cast(new))
    assert_frame_equal(opened("t:1").to_polars(), rows)


def test_keys_that_are_hard_to_compare(workspace: Workspace) -> None:
    nan = float("nan")
    table = read_table({"k": [1.0, nan, None, 0.0], "v": [1, 2, 3, 4]}, name="t")
    table = table.upsert({"k": [nan, -0.0], "v": [20, 40]}, on="k")
    rows = table.to_polars()
    assert rows.height == 4
    assert sorted(rows["v"]) == [1, 3, 20, 40]
    for twice in ([nan, nan], [0.0, -0.0]):
        with pytest.raises(InvalidInput, match="more than once"):
            table.upsert({"k": twice, "v": [1, 2]}, on="k")
    big = pl.DataFrame({"k": [2**64 - 1, 5], "v": [1, 2]}, schema={"k": pl.UInt64, "v": pl.Int64})
    other = read_table(big, name="u").upsert(big.with_columns(v=pl.lit(9)), on="k")
    assert other.to_polars()["v"].to_list() == [9, 9]
    nothing = table.delete("v > 1000")
    assert nothing.ref == table.ref
    empty = table.delete("v > 0")
    assert len(empty) == 0
    assert empty.append({"k": [7.0], "v": [7]}).to_polars().rows() == [(7.0, 7)]


def test_what_comes_again_after_something_else_is_the_newest(workspace: Workspace) -> None:
    read_table({"a": [1]}, name="t")
    read_table({"a": [2]}, name="t")
    again = opened("t").overwrite({"a": [1]})
    assert again.version == 3
    assert opened("t").to_polars()["a"].to_list() == [1]
    assert opened("t").overwrite({"a": [1]}).version == 3


PROCESSES = 4


def _replace(home: Path, process: int) -> None:
    workspace = Workspace.open(home)
    for number in range(3):
        opened("t", workspace).overwrite({"who": [process] * 5, "what": [number] * 5})


def _insert(home: Path, process: int) -> None:
    workspace = Workspace.open(home)
    for number in range(4):
        opened("t", workspace).append({"key": [number], "who": [process]})


def _together(home: Path, work: Any) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(home, number)) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0


def test_replacements_at_once_are_versions_one_after_the_other(workspace: Workspace) -> None:
    table = read_table({"who": [-1] * 5, "what": [-1] * 5}, name="t")
    _together(workspace.home, _replace)
    seen = set()
    for version in range(2, opened("t").version + 1):
        rows = table.at(version).to_polars()
        assert rows.height == 5
        assert rows.n_unique() == 1
        seen.add(rows.row(0))
    assert seen == {(who, what) for who in range(PROCESSES) for what in range(3)}


def test_a_key_enters_once_whoever_brings_it(workspace: Workspace) -> None:
    read_table({"key": [-1], "who": [-1]}, name="t")
    set_rules(workspace, "t", [Unique(key=("key",))])
    _together(workspace.home, _insert)
    assert sorted(opened("t").to_polars()["key"]) == [-1, 0, 1, 2, 3]
    assert len(opened("t.quarantine")) == 4 * PROCESSES - 4
    assert list(workspace.verify()) == []
