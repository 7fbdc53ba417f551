"""Whatever is altered in the metadata database is found, or changes nothing that matters."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import Corrupt, LeptonError
from lepton_ai.storage import Workspace, source_spec
from lepton_ai.storage.schema import Moment, metadata, packs, secrets, state


def fill(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        sealed = [workspace.objects.seal(b"%d" % number) for number in range(20)]
        sources = tx.nodes(
            source_spec(workspace.keys, f"/data/{number}", one)
            for number, one in enumerate(sealed)
            if tx.add(one)
        )
        data = tx.node("dataset", "d", version=True, parents=[(one.id, "file") for one in sources])
        tx.alias(data, "best")


def content(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, without the times."""
    with workspace.database.read() as connection:
        return {
            table.name: sorted(
                tuple(row)
                for row in connection.execute(
                    sa.select(*(c for c in table.columns if not isinstance(c.type, Moment)))
                )
            )
            for table in metadata.tables.values()
        }


class TestFlippedBits:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Iterator[Path]:
        workspace = Workspace.open(tmp_path / "home")
        fill(workspace)
        self.expected = content(workspace)
        workspace.close()
        return tmp_path / "home" / "metadata.db"

    @given(st.data())
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_of_the_database_file(self, file: Path, data: st.DataObject) -> None:
        original = file.read_bytes()
        bit = data.draw(st.integers(0, len(original) * 8 - 1))
        altered = bytearray(original)
        altered[bit // 8] ^= 1 << bit % 8
        file.write_bytes(altered)
        try:
            try:
                workspace = Workspace.open(file.parent)
            except LeptonError:
                return
            try:
                if not [*workspace.verify()]:
                    assert content(workspace) == self.expected
            finally:
                workspace.close()
        finally:
            for name in (f"{file.name}-wal", f"{file.name}-shm"):
                file.with_name(name).unlink(missing_ok=True)
            file.write_bytes(original)


def test_a_schema_that_is_no_text_is_damage(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    fill(workspace)
    workspace.close()
    file = tmp_path / "home" / "metadata.db"
    # SQLite quotes the name in its message, which cannot be decoded any more.
    damaged = (
        file.read_bytes().replace(b"TABLE nodes", b"TABXE nodes").replace(b"nodes", b"n\xe8des")
    )
    file.write_bytes(damaged)
    with pytest.raises(Corrupt, match=r"malformed.*n\\xe8des.*restore it from a backup"):
        Workspace.open(tmp_path / "home")


@pytest.mark.parametrize(
    ("whole", "altered"),
    [
        (b"wrapped_key BLOB", b"wrapped_kex BLOB"),
        (b"iceberg_type VARCHAR", b"iceberg_tipe VARCHAR"),
        (b"CONSTRAINT pk_nodes PRIMARY KEY (id)", b"CONSTRAINT pk_nodes PRIMARY KEY (kd)"),
        (b"REFERENCES packs (name)", b"REFERENCES packs (size)"),
    ],
)
def test_a_schema_that_says_something_else_is_damage(
    tmp_path: Path, whole: bytes, altered: bytes
) -> None:
    workspace = Workspace.open(tmp_path / "home")
    fill(workspace)
    workspace.close()
    file = tmp_path / "home" / "metadata.db"
    original = file.read_bytes()
    assert whole in original
    file.write_bytes(original.replace(whole, altered))
    try:
        workspace = Workspace.open(tmp_path / "home")
    except Corrupt:
        return
    assert ("metadata", "database") in kinds(workspace)


def kinds(workspace: Workspace) -> list[tuple[str, str]]:
    return [(fault.kind, fault.subject) for fault in workspace.verify()]


def test_everything_is_in_order_at_first(workspace: Workspace) -> None:
    fill(workspace)
    assert kinds(workspace) == []


def test_a_time_that_is_none_is_found(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    fill(workspace)
    with workspace.database.write() as connection:
        connection.execute(sa.text("UPDATE nodes SET created_at = 'yesterday'"))
    (fault,) = workspace.verify()
    assert (fault.kind, fault.subject) == ("metadata", "database")
    assert "'yesterday' where a time belongs" in fault.detail
    workspace.close()


def test_rows_that_refer_to_nothing_are_found(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    fill(workspace)
    with workspace.database.read() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("UPDATE aliases SET node_id = 'dataset_x'")
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("BEGIN")
    (fault,) = workspace.verify()
    assert "rows of aliases refer to rows that are gone" in fault.detail
    workspace.close()


def test_a_lost_state_is_told(workspace: Workspace) -> None:
    with workspace.database.write() as connection:
        connection.execute(sa.update(state).values(key="inactive_key"))
    workspace.close()
    with pytest.raises(Corrupt, match="restore it"):
        Workspace.open(settings=workspace.settings)


def test_a_lost_secret_is_told(workspace: Workspace) -> None:
    with workspace.database.write() as connection:
        connection.execute(sa.delete(secrets).where(secrets.c.name == "address"))
    workspace.close()
    with pytest.raises(Corrupt, match="lacks the secrets address"):
        Workspace.open(settings=workspace.settings)


def test_a_pack_collected_meanwhile_is_no_fault(workspace: Workspace) -> None:
    row = {"name": "pack_gone", "size": 1, "created_at": datetime.now(UTC)}
    with workspace.database.write() as connection:
        connection.execute(sa.insert(packs).values(row))
    assert kinds(workspace) == []
