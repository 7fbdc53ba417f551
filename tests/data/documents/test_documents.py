"""Folders of any files become sets of documents, and files again."""

import hashlib
import os
from pathlib import Path

import polars as pl
import pytest

from lepton_ai.core.errors import AccessDenied, InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.documents.documentset import COLUMNS, DocumentSet
from lepton_ai.data.documents.read import import_documents
from lepton_ai.data.entry import ColumnEntry, change_entry
from lepton_ai.data.listing import datasets as listed
from lepton_ai.data.read_table import read_table
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table
from lepton_ai.security.policy import Principal
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from lepton_ai.storage.forget import forget_objects


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "letters/a.txt": "Grüße\n".encode(),
        "letters/b.txt": b"\xef\xbb\xbfwith a mark",
        "letters/old.txt": "Straße".encode("cp1252"),
        "scans/x.pdf": b"%PDF-1.7 ...",
        "scans/wrong.txt": b"\x89PNG\r\n\x1a\n....",
        "table.csv": b"a,b\n1,2\n",
        "empty": b"",
        "noise.bin": bytes(range(256)),
        "again/a.txt": "Grüße\n".encode(),
    }
    for name, content in files.items():
        place = tmp_path / "papers" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return tmp_path / "papers"


def on_disk(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def count(workspace: Workspace) -> int:
    with workspace.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM objects").scalar_one())


def test_every_file_is_kept_byte_by_byte(
    folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    documents = import_documents(folder, workspace=workspace)
    assert (documents.ref, len(documents), documents.folder) == ("papers:1", 9, str(folder))
    files = on_disk(folder)
    assert documents.paths == sorted(files)
    assert {one.path: one.read() for one in documents} == files
    assert {one.path: one.sha256 for one in documents} == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items()
    }
    assert documents["bytes"].tolist() == [len(files[path]) for path in documents.paths]
    moment = documents[0].modified.timestamp()
    assert moment == pytest.approx((folder / documents.paths[0]).stat().st_mtime, abs=1e-5)
    written = documents.export(tmp_path / "out")
    assert on_disk(tmp_path / "out") == files
    assert len(written) == 9
    assert [*workspace.verify()] == []


def test_media_types(folder: Path, workspace: Workspace) -> None:
    documents = import_documents(folder, workspace=workspace)
    assert {one.path: one.media_type for one in documents} == {
        "again/a.txt": "text/plain",
        "empty": "application/octet-stream",
        "letters/a.txt": "text/plain",
        "letters/b.txt": "text/plain",
        "letters/old.txt": "text/plain",
        "noise.bin": "application/octet-stream",
        "scans/wrong.txt": "image/png",
        "scans/x.pdf": "application/pdf",
        "table.csv": "text/csv",
    }


def test_text(folder: Path, workspace: Workspace) -> None:
    texts = {one.path: one for one in import_documents(folder, workspace=workspace)}
    assert texts["letters/a.txt"].text() == "Grüße\n"
    assert texts["letters/b.txt"].text() == "with a mark"
    assert texts["letters/old.txt"].text("cp1252") == "Straße"
    with pytest.raises(InvalidInput, match="not text"):
        texts["scans/x.pdf"].text()
    with pytest.raises(InvalidInput, match="cannot be decoded"):
        texts["letters/old.txt"].text("utf-8")
    with pytest.raises(InvalidInput, match="cannot be decoded"):
        texts["letters/old.txt"].text("no such encoding")


def test_the_same_files_make_no_new_version_and_no_new_object(
    folder: Path, workspace: Workspace
) -> None:
    first = import_documents(folder, workspace=workspace)
    before = count(workspace)
    for path in folder.rglob("*"):
        os.utime(path)
    assert import_documents(folder, workspace=workspace).ref == first.ref
    assert count(workspace) == before
    other = import_documents(folder, name="other", workspace=workspace)
    stored = set(first["object"].tolist())
    assert set(other["object"].tolist()) == stored
    assert len(stored) == 8  # two files are alike
    with workspace.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT address FROM objects").scalars()
        assert len(stored & set(rows)) == 8


def test_versions(folder: Path, workspace: Workspace) -> None:
    import_documents(folder, workspace=workspace)
    (folder / "letters/a.txt").write_text("changed")
    (folder / "empty").unlink()
    second = import_documents(folder, workspace=workspace)
    assert (second.ref, len(second)) == ("papers:2", 8)
    first = second.at(1)
    assert isinstance(first, DocumentSet)
    assert first[first.paths.index("letters/a.txt")].text() == "Grüße\n"
    assert second[second.paths.index("letters/a.txt")].text() == "changed"
    assert second.history()["rows"].to_list() == [9, 8]
    parents = [(role, node.kind) for role, node in workspace.lineage.parents(second.dataset.id)]
    assert sorted(parents) == [("previous", "dataset"), ("source", "source")]


def test_the_catalog_knows_it(folder: Path, workspace: Workspace) -> None:
    import_documents(folder, workspace=workspace)
    (info,) = listed(workspace)
    assert (info.ref, info.format, info.count) == ("papers:1", "documents", 9)
    opened = open_dataset("papers", workspace)
    assert isinstance(opened, DocumentSet)
    assert "papers:1: 9 documents" in repr(opened)
    answer = sql("SELECT count(*) n, sum(bytes) b FROM papers", workspace=workspace)
    total = sum(len(content) for content in on_disk(folder).values())
    assert answer.rows.row(0) == (9, total)


def test_a_file_is_found_in_the_lineage(folder: Path, workspace: Workspace) -> None:
    documents = import_documents(folder, workspace=workspace)
    lineage = workspace.lineage
    assert lineage.resolve(str(folder / "table.csv")).ref == documents.ref
    assert lineage.resolve(documents[0].sha256).ref == documents.ref
    assert lineage.resolve(str(folder)).kind == "source"
    with pytest.raises(NotFound):
        lineage.resolve(hashlib.sha256(b"never seen").hexdigest())


def test_selections(folder: Path, workspace: Workspace) -> None:
    documents = import_documents(folder, workspace=workspace)
    texts = documents.filter("media_type = 'text/plain' and bytes < 9")
    assert texts.paths == ["again/a.txt", "letters/a.txt", "letters/old.txt"]
    assert isinstance(texts, DocumentSet)
    assert documents[2:4].paths == documents.paths[2:4]
    assert documents[-1].path == documents.paths[-1]
    assert [one.path for one in documents[[0, 2]]] == [documents.paths[0], documents.paths[2]]
    with pytest.raises(IndexError):
        documents[9]
    with pytest.raises(InvalidInput, match="does not fit"):
        documents.filter("colour = 'red'")
    frame = documents.scan(["path"], where="bytes = 0").collect()
    assert isinstance(frame, pl.DataFrame)
    assert frame["path"].to_list() == ["empty"]
    assert documents.to_polars().schema == pl.Schema(COLUMNS)
    assert type(documents.to_table()) is Table
    side = texts.record()
    assert open_dataset(side.id, workspace)[0].path == texts.paths[0]


def test_labels(folder: Path, workspace: Workspace) -> None:
    assert import_documents(folder, workspace=workspace).labels is None
    labelled = import_documents(folder, name="labelled", label="folder", workspace=workspace)
    assert labelled.labels is not None
    assert dict(zip(labelled.paths, labelled.labels.tolist(), strict=True))["scans/x.pdf"] == (
        "scans"
    )
    assert labelled.dataset.facts["classes"] == {"again": 1, "letters": 3, "scans": 2}
    with pytest.raises(InvalidInput, match="label"):
        import_documents(folder, label="other", workspace=workspace)  # type: ignore[arg-type]


def test_patterns_and_single_files(folder: Path, workspace: Workspace) -> None:
    some = import_documents(str(folder / "**/*.txt"), name="texts", workspace=workspace)
    assert some.paths == ["again/a.txt", "letters/a.txt", "letters/b.txt", "letters/old.txt",
                          "scans/wrong.txt"]  # fmt: skip
    one = import_documents(folder / "table.csv", workspace=workspace)
    assert (one.ref, one.paths) == ("table:1", ["table.csv"])
    odd = folder / "odd[1]"
    odd.mkdir()
    (odd / "x").write_text("x")
    assert import_documents(odd, name="odd", workspace=workspace).paths == ["x"]
    with pytest.raises(InvalidInput, match="holds no file"):
        import_documents(str(folder / "*.none"), workspace=workspace)
    with pytest.raises(NotFound):
        import_documents(folder / "nothing", workspace=workspace)


def test_a_table_keeps_its_name(folder: Path, workspace: Workspace) -> None:
    read_table({"a": [1]}, name="papers", workspace=workspace)
    with pytest.raises(InvalidInput, match="is a table"):
        import_documents(folder, workspace=workspace)
    documents = import_documents(folder, name="docs", workspace=workspace)
    with pytest.raises(InvalidInput, match="holds documents"):
        read_table({"a": [1]}, name="docs", workspace=workspace)
    for change in (lambda: documents.append({"path": ["x"]}), lambda: documents.overwrite({})):
        with pytest.raises(InvalidInput, match="import it again"):
            change()


def test_documents_can_leave_a_set(folder: Path, workspace: Workspace) -> None:
    documents = import_documents(folder, workspace=workspace)
    fewer = documents.delete("path = 'empty'")
    assert isinstance(fewer, DocumentSet)
    assert fewer.dataset.facts["format"] == "documents"
    assert len(fewer) == 8
    assert isinstance(open_dataset("papers", workspace), DocumentSet)


def test_what_is_masked_cannot_be_read(folder: Path, workspace: Workspace) -> None:
    import_documents(folder, workspace=workspace)

    def tagged(entry):  # type: ignore[no-untyped-def]
        columns = {name: ColumnEntry(tags=("personal",)) for name in ("path", "object")}
        return type(entry)(columns=columns)

    change_entry(workspace, "papers", tagged)
    with acting_as(Principal("ann", "reader")):
        seen = open_dataset("papers", workspace)
        assert isinstance(seen, DocumentSet)
        assert set(seen.paths) == {"***"}
        assert (seen.folder, seen.rejected) == ("***", ())
        with pytest.raises(AccessDenied, match="not yours to read"):
            seen[0].read()


def test_erased_content_says_so(folder: Path, workspace: Workspace) -> None:
    documents = import_documents(folder, workspace=workspace)
    forget_objects(workspace, [documents[0].object])
    with pytest.raises(NotFound, match="was erased"):
        documents[0].read()
    assert documents[1].read() == b""
