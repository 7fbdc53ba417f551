"""The judge is told of planted faults: what it does not see, no crash test would."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from lepton_ai.core.settings import Settings
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.nodes import node_row
from lepton_ai.storage.schema import aliases, deployments, edges, holdings, nodes, objects
from tests.crash.journey import Chapter, Promise, perform, promise
from tests.crash.judge import complaints, leftovers

Kept = tuple[Path, list[Promise]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The home of a workspace with images, a split, a model and an endpoint; tests copy it."""
    folder = tmp_path_factory.mktemp("made")
    workspace = open_workspace(folder / "home")
    chapter = Chapter(0, folder / "images", "k-nearest")
    chapter.write()
    promises = perform("prepare", workspace, lambda *_: None, chapter)
    model = workspace.lineage.find("model", chapter.model)
    with workspace.transaction() as tx:
        node = tx.node("deployment", "live", version=True, parents=[(model.id, "model")])
        row = {"name": "live", "node_id": node.id, "model_id": model.id, "state": "live"}
        tx.execute(sa.insert(deployments).values(updated_at=node.created_at, **row))
    promises.append(promise(workspace, node))
    workspace.close()
    return folder / "home", promises


@pytest.fixture
def kept(made: Kept, tmp_path: Path) -> Iterator[tuple[Workspace, list[Promise]]]:
    copytree(made[0], tmp_path / "home")
    workspace = open_workspace(tmp_path / "home")
    yield workspace, made[1]
    workspace.close()


def open_workspace(home: Path) -> Workspace:
    return Workspace.open(settings=Settings.load(home, {}))


def only(workspace: Workspace, kind: str) -> Node:
    return workspace.lineage.list(kind)[0]


def change(workspace: Workspace, *statements: sa.Executable) -> None:
    """Do to the database what no transaction would."""
    with workspace.database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for statement in statements:
            assert connection.execute(statement).rowcount, statement
        connection.commit()
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def change_pack(workspace: Workspace, edit: Callable[[bytearray], None]) -> None:
    pack = max((workspace.home / "objects").glob("pack_*"), key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    edit(data)
    pack.write_bytes(data)


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def forget(workspace: Workspace, kind: str) -> None:
    """Remove the first node of a kind and all that hangs on it, as if it had never been."""
    node = only(workspace, kind).id
    gone = [sa.delete(nodes).where(nodes.c.id == node)]
    gone += [sa.delete(edges).where((edges.c.child_id == node) | (edges.c.parent_id == node))]
    change(workspace, *gone)
    for rest in (
        sa.delete(holdings).where(holdings.c.node_id == node),
        sa.delete(aliases).where(aliases.c.node_id == node),
        sa.delete(deployments).where(
            (deployments.c.node_id == node) | (deployments.c.model_id == node)
        ),
    ):
        with workspace.database.write() as connection:
            connection.execute(rest)


def twice(workspace: Workspace) -> None:
    again = replace(only(workspace, "dataset"), id="dataset_again", version=2)
    change(workspace, sa.insert(nodes).values(node_row(workspace.keys, again)))


def without_model(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        parent = only(workspace, "split").id
        tx.node("run", "half", parents=[(parent, "training")])


FAULTS: dict[str, Callable[[Workspace], None]] = {
    "stored: ": lambda ws: change_pack(ws, flip),
    "truncated": lambda ws: change_pack(ws, bytearray.pop),
    "missing": lambda ws: max((ws.home / "objects").glob("pack_*")).unlink(),
    "reference: holdings.address": lambda ws: change(
        ws, sa.delete(objects).where(objects.c.address == only(ws, "dataset").digest)
    ),
    "reference: aliases.node_id": lambda ws: change(ws, sa.update(aliases).values(node_id="none")),
    "reference: deployments.model_id": lambda ws: change(
        ws, sa.update(deployments).values(model_id="none")
    ),
    "versions: ": lambda ws: change(
        ws, sa.update(nodes).where(nodes.c.kind == "dataset").values(version=2)
    ),
    "of the same content": twice,
    "sources: ": lambda ws: change(
        ws, sa.delete(holdings).where(holdings.c.node_id == only(ws, "source").id)
    ),
    "datasets: ": lambda ws: change(
        ws, sa.delete(edges).where(edges.c.parent_id == only(ws, "source").id)
    ),
    "splits: ": lambda ws: forget(ws, "split"),
    "runs: ": without_model,
    "models: ": lambda ws: change(
        ws, sa.delete(edges).where(edges.c.child_id == only(ws, "model").id)
    ),
    "no champion": lambda ws: change(ws, sa.delete(aliases)),
    "deployments: ": lambda ws: change(
        ws, sa.delete(edges).where(edges.c.child_id == only(ws, "deployment").id)
    ),
    "lost: dataset": lambda ws: forget(ws, "dataset"),
    "lost: model": lambda ws: forget(ws, "model"),
    "lost: evaluation": lambda ws: forget(ws, "evaluation"),
    "lost: deployment": lambda ws: forget(ws, "deployment"),
}


def test_nothing_is_wrong_with_what_nobody_disturbed(kept: tuple[Workspace, list[Promise]]) -> None:
    workspace, promises = kept
    assert {one.kind for one in promises} == {
        "dataset", "split", "model", "evaluation", "deployment"
    }  # fmt: skip
    assert complaints(workspace, promises) == []
    assert leftovers(workspace.home) == []


@pytest.mark.parametrize("said", FAULTS)
def test_a_planted_fault_is_found(said: str, kept: tuple[Workspace, list[Promise]]) -> None:
    workspace, promises = kept
    FAULTS[said](workspace)
    found = complaints(workspace, promises)
    assert any(said in text for text in found), found


def test_an_answer_without_receipt_is_found(kept: tuple[Workspace, list[Promise]]) -> None:
    (found,) = complaints(kept[0], kept[1], ["prd_never"])
    assert "prd_never" in found


def test_a_node_that_has_changed_is_found(kept: tuple[Workspace, list[Promise]]) -> None:
    workspace, promises = kept
    model = only(workspace, "model")
    other = promise(workspace, model)
    other.content["facts"]["rows"] += 1
    (found,) = complaints(workspace, [*promises, other])
    assert "other facts" in found


def test_files_that_a_crash_left_are_found(kept: tuple[Workspace, list[Promise]]) -> None:
    home = kept[0].home
    names = [".keys.json.new", ".metadata.db.new", "objects/.pack_1-0000.partial"]
    for name in names:
        (home / name).touch()
    assert leftovers(home) == sorted(names)
