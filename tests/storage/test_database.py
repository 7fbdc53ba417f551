import multiprocessing
import os
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lepton_ai.core.errors import Conflict, Corrupt, InvalidInput, Unavailable
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Database, Workspace
from lepton_ai.storage.migrate import configuration
from lepton_ai.storage.schema import REVISION, holdings, metadata, state

FORK = multiprocessing.get_context("fork")


def insert(database: Database, key: str) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(state).values(key=key, value=""))


def keys(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(sa.select(state.c.key)))


@pytest.mark.empty_database
class TestMigrations:
    def test_the_constant_is_the_newest_revision(self) -> None:
        assert ScriptDirectory.from_config(configuration()).get_current_head() == REVISION

    def test_they_make_the_tables_that_the_code_uses(self, workspace: Workspace) -> None:
        with workspace.database.read() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
            names = {
                constraint["name"]
                for table in ("nodes", "edges")
                for constraint in sa.inspect(connection).get_foreign_keys(table)
            }
        assert workspace.database.revision() == REVISION
        if workspace.database.dialect == "postgresql":
            assert names == {"fk_edges_child_id", "fk_edges_parent_id"}

    def test_they_can_be_undone_and_done_again(self, workspace: Workspace) -> None:
        with workspace.database.write(exclusive=True) as connection:
            config = configuration()
            config.attributes["connection"] = connection
            downgrade(config, "base")
            assert sa.inspect(connection).get_table_names() == ["alembic_version"]
            workspace.database.migrate(connection)
            assert set(metadata.tables) < set(sa.inspect(connection).get_table_names())

    def test_rows_of_an_older_database_stay(self, workspace: Workspace) -> None:
        with workspace.transaction() as tx:
            held = tx.put(b"an old object")
            node = tx.node("dataset", "old", version=True, holds=[held])
        with workspace.database.write(exclusive=True) as connection:
            config = configuration()
            config.attributes["connection"] = connection
            downgrade(config, "0002")
            assert workspace.database.dialect != "sqlite" or "WITHOUT" not in _made(connection)
            workspace.database.migrate(connection)
            found = connection.execute(sa.select(holdings)).all()
            assert [tuple(row) for row in found] == [(node.id, held)]
            assert workspace.database.dialect != "sqlite" or "WITHOUT" in _made(connection)
        assert [*workspace.verify()] == []

    def test_a_database_of_a_newer_version_is_refused(
        self, workspace: Workspace, settings: Settings
    ) -> None:
        with workspace.database.write() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        workspace.close()
        with pytest.raises(Conflict, match="newer version"):
            Workspace.open(settings=settings)


def _made(connection: sa.Connection) -> str:
    """Return how SQLite was told to make the table of holdings."""
    query = sa.text("SELECT sql FROM sqlite_master WHERE name = 'holdings'")
    return str(connection.scalar(query))


class TestUrls:
    @pytest.mark.parametrize("url", ["", "nonsense", "mysql://u@h/d", "sqlite://"])
    def test_other_databases_are_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput, match="postgresql://"):
            Database(url)

    @pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
    def test_a_server_that_does_not_run_is_unavailable(self, scheme: str) -> None:
        database = Database(f"{scheme}://user:hunter2@127.0.0.1:1/name")
        with pytest.raises(Unavailable, match="check that the server runs") as caught:
            database.revision()
        assert "hunter2" not in str(caught.value)
        database.close()

    def test_a_file_that_is_no_database_is_corrupt(self, tmp_path: Path) -> None:
        (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
        database = Database(f"sqlite:///{tmp_path / 'x.db'}")
        with pytest.raises(Corrupt, match="restore it"):
            database.revision()
        database.close()


class TestTransactions:
    def test_sqlite_runs_as_promised(self, tmp_path: Path) -> None:
        workspace = Workspace.open(tmp_path / "home")
        with workspace.database.read() as connection:
            values = {
                name: connection.scalar(sa.text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            }
        assert values == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "secure_delete": 1,
        }
        workspace.close()

    def test_a_failed_write_changes_nothing(self, workspace: Workspace) -> None:
        before = keys(workspace.database)
        with suppress(ZeroDivisionError), workspace.database.write() as connection:
            connection.execute(sa.insert(state).values(key="new", value=""))
            raise ZeroDivisionError
        assert keys(workspace.database) == before

    def test_a_write_inside_a_write_is_undone_alone(self, workspace: Workspace) -> None:
        with workspace.database.write() as connection:
            connection.execute(sa.insert(state).values(key="outer", value=""))
            with pytest.raises(sa.exc.IntegrityError):
                insert(workspace.database, "outer")
            insert(workspace.database, "inner")
            assert {"outer", "inner"} <= keys(workspace.database)
        assert {"outer", "inner"} <= keys(workspace.database)

    def test_what_must_be_alone_refuses_to_run_inside(self, workspace: Workspace) -> None:
        with workspace.database.write(), pytest.raises(Conflict, match="finish the transaction"):
            workspace.keys.rotate()

    def test_other_threads_see_nothing_until_the_commit(self, workspace: Workspace) -> None:
        seen: list[bool] = []
        with workspace.database.write():
            insert(workspace.database, "mine")
            thread = threading.Thread(
                target=lambda: seen.append("mine" in keys(workspace.database))
            )
            thread.start()
            thread.join()
        assert seen == [False]
        assert "mine" in keys(workspace.database)

    def test_writers_wait_for_one_that_must_be_alone(self, workspace: Workspace) -> None:
        order: list[str] = []
        started = threading.Event()

        def late() -> None:
            started.set()
            insert(workspace.database, "late")
            order.append("late")

        with workspace.database.write(exclusive=True):
            thread = threading.Thread(target=late)
            thread.start()
            started.wait()
            time.sleep(0.2)
            order.append("alone")
        thread.join()
        assert order == ["alone", "late"]


def _insert_many(settings: Settings, worker: int) -> None:
    database = Workspace.open(settings=settings).database
    for number in range(40):
        insert(database, f"{worker}-{number}")
        keys(database)


def test_eight_processes_write_without_a_locked_database(
    workspace: Workspace, settings: Settings
) -> None:
    workers = [FORK.Process(target=_insert_many, args=(settings, n)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(keys(workspace.database)) == 1 + 8 * 40


def test_a_forked_child_uses_connections_of_its_own(workspace: Workspace) -> None:
    insert(workspace.database, "before")
    with workspace.database.write() as connection:
        # A child forked in the middle of a transaction must not touch it.
        child = os.fork()
        if child == 0:
            os._exit(0 if "before" in keys(workspace.database) else 1)
        assert os.waitpid(child, 0)[1] == 0
        connection.execute(sa.insert(state).values(key="after", value=""))
    assert {"before", "after"} <= keys(workspace.database)


def test_a_log_that_somebody_reads_is_not_said_to_be_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_ai.storage.engines.WAIT_SECONDS", 0.1)
    workspace = Workspace.open(tmp_path / "home")
    insert(workspace.database, "canary")
    reader = sqlite3.connect(workspace.home / "metadata.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM state").fetchall()
    with workspace.database.write() as connection:
        connection.execute(sa.delete(state).where(state.c.key == "canary"))
    with pytest.raises(Conflict, match="another process is reading"):
        workspace.database.shrink()
    reader.close()
    workspace.database.shrink()
    files = [path for path in workspace.home.rglob("*") if path.is_file()]
    assert not any(b"canary" in path.read_bytes() for path in files)
    workspace.close()
