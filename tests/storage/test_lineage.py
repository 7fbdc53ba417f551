import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import Corrupt, InvalidInput, NotFound
from lepton_ai.storage import Link, Node, Workspace, source_spec
from lepton_ai.storage.schema import nodes, predictions


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.dcm"
    path.write_bytes(b"DICM of Jane Doe")
    return path


@pytest.fixture
def graph(workspace: Workspace, scan: Path) -> dict[str, Node]:
    """Two sources -> a dataset -> two splits -> a run -> two versions of a model."""
    with workspace.transaction() as tx:
        sealed = workspace.objects.seal(scan.read_bytes())
        other = workspace.objects.seal(b"other")
        tx.add(sealed)
        tx.add(other)
        one, two = tx.nodes(
            [
                source_spec(workspace.keys, scan, sealed),
                source_spec(workspace.keys, scan.with_name("other.dcm"), other),
            ]
        )
        data = tx.node(
            "dataset", "lungs", version=True, parents=[(one.id, "file"), (two.id, "file")]
        )
        train = tx.node("split", "train", parents=[(data.id, "data")])
        test = tx.node("split", "test", parents=[(data.id, "data")])
        run = tx.node("run", "run", parents=[(train.id, "train"), (test.id, "test")])
        first = tx.node("model", "lungs", version=True, parents=[(run.id, "run")])
        second = tx.node("model", "lungs", version=True, parents=[(run.id, "run")])
        tx.alias(first, "champion")
    return {
        "one": one,
        "two": two,
        "data": data,
        "train": train,
        "test": test,
        "run": run,
        "first": first,
        "second": second,
    }


def links(*pairs: tuple[Node, Node, str]) -> set[Link]:
    return {Link(child.id, parent.id, role) for child, parent, role in pairs}


def test_ancestors_reach_the_sources(workspace: Workspace, graph: dict[str, Node]) -> None:
    g = graph
    found = workspace.lineage.ancestors(g["first"].id)
    assert len(found) == len(set(found))
    assert set(found) == links(
        (g["first"], g["run"], "run"),
        (g["run"], g["train"], "train"),
        (g["run"], g["test"], "test"),
        (g["train"], g["data"], "data"),
        (g["test"], g["data"], "data"),
        (g["data"], g["one"], "file"),
        (g["data"], g["two"], "file"),
    )
    assert workspace.lineage.ancestors(g["one"].id) == []


def test_descendants_reach_the_models(workspace: Workspace, graph: dict[str, Node]) -> None:
    g = graph
    found = workspace.lineage.descendants(g["test"].id)
    assert set(found) == links(
        (g["run"], g["test"], "test"),
        (g["first"], g["run"], "run"),
        (g["second"], g["run"], "run"),
    )
    ends = {link.child for link in workspace.lineage.descendants(g["one"].id)}
    assert {g["first"].id, g["second"].id} < ends


def test_neighbours_come_with_their_roles(workspace: Workspace, graph: dict[str, Node]) -> None:
    g = graph
    assert workspace.lineage.parents(g["run"].id) == [("test", g["test"]), ("train", g["train"])]
    assert workspace.lineage.children(g["train"].id) == [("train", g["run"])]
    assert workspace.lineage.children("nothing") == []


def test_nodes_by_id(workspace: Workspace, graph: dict[str, Node]) -> None:
    wanted = {graph["one"].id: graph["one"], graph["run"].id: graph["run"]}
    assert workspace.lineage.nodes([*wanted, "nothing"]) == wanted
    with pytest.raises(NotFound, match="no node 'nothing'"):
        workspace.lineage.get("nothing")


def test_find_gives_newest_version_or_alias(workspace: Workspace, graph: dict[str, Node]) -> None:
    find = workspace.lineage.find
    assert find("model", "lungs") == graph["second"]
    assert find("model", "lungs", version=1) == graph["first"]
    assert find("model", "lungs", alias="champion") == graph["first"]
    assert workspace.lineage.aliases("model", "lungs") == {"champion": 1}
    with workspace.transaction() as tx:
        tx.alias(graph["second"], "champion")
    assert find("model", "lungs", alias="champion") == graph["second"]
    assert workspace.lineage.aliases("model", "lungs") == {"champion": 2}
    assert workspace.lineage.aliases("dataset", "lungs") == {}


def test_what_is_not_found_is_told_with_what_exists(
    workspace: Workspace, graph: dict[str, Node]
) -> None:
    find = workspace.lineage.find
    with pytest.raises(
        NotFound, match="no model lungs:7; there are versions 1 to 2 and aliases ch"
    ):
        find("model", "lungs", version=7)
    with pytest.raises(NotFound, match="no model lungs@x; there are versions 1 to 2"):
        find("model", "lungs", alias="x")
    with pytest.raises(NotFound, match="no model lung; there are: lungs"):
        find("model", "lung")
    with pytest.raises(NotFound, match="no deployment lung; there is no deployment yet"):
        find("deployment", "lung")


def test_list_is_in_order_of_creation(workspace: Workspace, graph: dict[str, Node]) -> None:
    assert workspace.lineage.list("model") == [graph["first"], graph["second"]]
    assert workspace.lineage.list("model", "other") == []


class TestResolve:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [("lungs:2", "second"), ("lungs@champion", "first"), ("run", "run"), ("train", "train")],
    )
    def test_references(
        self, workspace: Workspace, graph: dict[str, Node], text: str, expected: str
    ) -> None:
        assert workspace.lineage.resolve(text) == graph[expected]

    def test_ids(self, workspace: Workspace, graph: dict[str, Node]) -> None:
        for node in graph.values():
            assert workspace.lineage.resolve(node.id) == node

    def test_a_name_of_several_kinds(self, workspace: Workspace, graph: dict[str, Node]) -> None:
        assert workspace.lineage.resolve("lungs", kinds=["model"]) == graph["second"]
        assert workspace.lineage.resolve("lungs", kinds=["dataset", "split"]) == graph["data"]
        with pytest.raises(InvalidInput, match=r"may be any of .*dataset lungs:1"):
            workspace.lineage.resolve("lungs")
        with pytest.raises(InvalidInput, match="give its id instead: "):
            workspace.lineage.resolve("lungs:1")

    def test_a_source_is_found_by_path(
        self,
        workspace: Workspace,
        graph: dict[str, Node],
        scan: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert workspace.lineage.resolve(str(scan)) == graph["one"]
        monkeypatch.chdir(scan.parent)
        assert workspace.lineage.resolve("scan.dcm") == graph["one"]

    def test_a_source_is_found_by_content_under_another_name(
        self, workspace: Workspace, graph: dict[str, Node], scan: Path
    ) -> None:
        moved = scan.rename(scan.with_name("renamed.dcm"))
        assert workspace.lineage.resolve(str(moved)) == graph["one"]

    def test_a_source_that_is_gone_is_found_by_its_path(
        self, workspace: Workspace, graph: dict[str, Node], scan: Path
    ) -> None:
        scan.unlink()
        assert workspace.lineage.resolve(str(scan)) == graph["one"]

    def test_a_copy_is_told_from_its_original(
        self, workspace: Workspace, graph: dict[str, Node], scan: Path
    ) -> None:
        copy = scan.with_name("copy.dcm")
        copy.write_bytes(scan.read_bytes())
        sealed = workspace.objects.seal(copy.read_bytes())
        with workspace.transaction() as tx:
            tx.add(sealed)
            (node,) = tx.nodes([source_spec(workspace.keys, copy, sealed)])
        assert workspace.lineage.resolve(str(copy)) == node
        assert workspace.lineage.resolve(str(scan)) == graph["one"]

    def test_a_source_is_found_by_sha256(
        self, workspace: Workspace, graph: dict[str, Node], scan: Path
    ) -> None:
        digest = hashlib.sha256(scan.read_bytes()).hexdigest()
        assert workspace.lineage.resolve(digest) == graph["one"]
        assert workspace.lineage.resolve(digest.upper()) == graph["one"]

    @pytest.mark.parametrize(
        "text", ["nothing", "lungss", "lung:9", "lung@x", "/no/file", "00" * 32, ""]
    )
    def test_nothing(self, workspace: Workspace, graph: dict[str, Node], text: str) -> None:
        with pytest.raises(NotFound, match="does not name anything"):
            workspace.lineage.resolve(text)
        with pytest.raises(NotFound, match="does not name model or run"):
            workspace.lineage.resolve(text, kinds=["run", "model"])

    @pytest.mark.parametrize("text", ["lungs:9", "lungs@x"])
    def test_another_version(self, workspace: Workspace, graph: dict[str, Node], text: str) -> None:
        with pytest.raises(NotFound, match=f"there is no model {text}; there are versions 1 to 2"):
            workspace.lineage.resolve(text)

    @given(
        st.one_of(
            st.text(max_size=30),
            st.from_regex(r"lungs[:@][0-9]+", fullmatch=True),
            st.just("x" * 5000),
            st.just("a\0b"),
            st.just("\udcff"),
        )
    )
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_any_text_gives_a_node_or_a_clear_error(
        self, workspace: Workspace, graph: dict[str, Node], text: str
    ) -> None:
        with suppress(NotFound, InvalidInput):
            assert workspace.lineage.resolve(text) in graph.values()

    def test_a_file_whose_name_is_not_utf8(self, workspace: Workspace, tmp_path: Path) -> None:
        path = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.dcm")
        Path(path).write_bytes(b"DICM")
        sealed = workspace.objects.seal(b"DICM")
        with workspace.transaction() as tx:
            tx.add(sealed)
            (node,) = tx.nodes([source_spec(workspace.keys, path, sealed)])
        assert workspace.lineage.resolve(path) == node
        Path(path).unlink()
        assert workspace.lineage.resolve(path) == node
        assert node.facts["path"] == f"{tmp_path}/M\\xfcller.dcm"


class TestPrivacy:
    def test_no_path_lies_in_the_database(
        self, workspace: Workspace, graph: dict[str, Node], scan: Path
    ) -> None:
        with workspace.database.read() as connection:
            rows = connection.execute(sa.select(nodes)).all()
        everything = repr([tuple(row) for row in rows]).encode()
        # No shorter words: sealed bytes hold any three or four letters now and then.
        assert scan.name.encode() not in everything
        assert str(scan.parent).encode() not in everything
        assert hashlib.sha256(scan.read_bytes()).hexdigest().encode() not in everything
        assert workspace.lineage.get(graph["one"].id).facts["path"] == str(scan)

    @pytest.mark.parametrize("column", ["kind", "name", "version", "digest", "facts", "created_at"])
    def test_an_altered_row_is_found(
        self, workspace: Workspace, graph: dict[str, Node], column: str
    ) -> None:
        first, second = graph["first"], graph["second"]
        with workspace.database.read() as connection:
            other = connection.execute(sa.select(nodes).where(nodes.c.id == second.id)).one()
        values = {
            "kind": "run",
            "name": "brains",
            "version": 77,
            "digest": "00",
            "facts": other.facts,
            "created_at": graph["one"].created_at.replace(year=2001),
        }
        with workspace.database.write() as connection:
            connection.execute(
                sa.update(nodes).where(nodes.c.id == first.id).values({column: values[column]})
            )
        with pytest.raises(Corrupt, match=f"row of {first.id}"):
            workspace.lineage.get(first.id)
        assert [(fault.kind, fault.subject) for fault in workspace.verify()] == [
            ("metadata", first.id)
        ]

    def test_a_swapped_prediction_is_found(
        self, workspace: Workspace, graph: dict[str, Node]
    ) -> None:
        def row(name: str, body: bytes) -> dict[str, object]:
            return {
                "id": name,
                "created_at": graph["first"].created_at,
                "deployment_id": graph["run"].id,
                "model_id": graph["first"].id,
                "principal": "owner",
                "body": workspace.keys.seal(body, name.encode()),
            }

        rows = [row("prediction_1", b"sick"), row("prediction_2", b"well")]
        with workspace.database.write() as connection:
            connection.execute(sa.insert(predictions), rows)
        assert [*workspace.verify()] == []
        with workspace.database.write() as connection:
            connection.execute(sa.update(predictions).values(body=rows[0]["body"]))
        assert [fault.subject for fault in workspace.verify()] == ["prediction_2"]
