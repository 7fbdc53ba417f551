import base64
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import AccessDenied, Corrupt, InvalidInput
from lepton_ai.core.settings import Settings
from lepton_ai.storage import KeyLost, KeyRing, Workspace
from lepton_ai.storage import keys as keys_module
from lepton_ai.storage.keysources import EnvironmentKeys, KeyFile, MasterKey
from lepton_ai.storage.schema import objects, secrets, state

FORK = multiprocessing.get_context("fork")


def key_ids(workspace: Workspace) -> set[str]:
    """The master keys that rows are wrapped under."""
    with workspace.database.read() as connection:
        return set(
            connection.scalars(sa.union(sa.select(objects.c.key_id), sa.select(secrets.c.key_id)))
        )


def active(workspace: Workspace) -> str:
    with workspace.database.read() as connection:
        return connection.scalar(sa.select(state.c.value).where(state.c.key == "active_key")) or ""


def filed(workspace: Workspace) -> list[str]:
    return [key.id for key in KeyFile(workspace.settings).load()]


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


class TestRotation:
    def test_everything_is_rewrapped_and_nothing_rewritten(self, workspace: Workspace) -> None:
        addresses = [workspace.objects.put(b"%d" % n) for n in range(3)]
        workspace.keys.secret("own")
        (pack,) = {workspace.objects.info(address).pack for address in addresses[:1]}
        sealed = (workspace.home / "objects" / pack).read_bytes()
        before = active(workspace)
        assert workspace.keys.rotate() == 7  # three objects, three secrets of the ring, "own"
        assert key_ids(workspace) == {active(workspace)}
        assert filed(workspace) == [active(workspace)] != [before]
        assert (workspace.home / "objects" / pack).read_bytes() == sealed
        assert [workspace.objects.get(address) for address in addresses] == [b"0", b"1", b"2"]
        assert [*workspace.verify()] == []

    def test_a_process_that_starts_later_reads_everything(
        self, workspace: Workspace, reopen: Callable[[], Workspace]
    ) -> None:
        address = workspace.objects.put(b"before")
        secret = workspace.keys.secret("own")
        token = workspace.keys.token("x")
        workspace.keys.rotate()
        again = reopen()
        assert again.objects.get(address) == b"before"
        assert again.objects.put(b"before") == address
        assert again.keys.secret("own") == secret
        assert again.keys.token("x") == token

    def test_rows_go_batch_by_batch(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keys_module, "BATCH", 2)
        with workspace.transaction() as tx:
            for n in range(9):
                tx.put(b"%d" % n)
        assert workspace.keys.rotate() == 12
        assert [*workspace.verify()] == []

    def test_an_interrupted_rotation_is_finished_not_started_anew(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, reopen: Callable[[], Workspace]
    ) -> None:
        address = workspace.objects.put(b"x")

        def crash(*args: object) -> int:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(type(workspace.keys), "_rewrap_all", crash)
            with pytest.raises(KeyboardInterrupt):
                workspace.keys.rotate()
        meanwhile = active(workspace)
        assert len(filed(workspace)) == 2
        again = reopen()
        assert again.objects.get(address) == b"x"
        assert again.keys.rotate() == 4
        assert filed(again) == [meanwhile]
        assert key_ids(again) == {meanwhile}

    def test_a_key_made_just_before_a_crash_is_used(self, workspace: Workspace) -> None:
        waiting = KeyFile(workspace.settings).create()
        workspace.objects.put(b"x")
        workspace.keys.rotate()
        assert active(workspace) == waiting.id
        assert filed(workspace) == [waiting.id]

    def test_a_key_that_a_row_needs_stays_in_the_file(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workspace.objects.put(b"x")
        old = active(workspace)
        rewrap = type(workspace.keys)._rewrap_all

        def rewrap_secrets_only(ring: KeyRing, table: sa.Table, target: MasterKey) -> int:
            return rewrap(ring, table, target) if table is secrets else 0

        with monkeypatch.context() as patch:
            patch.setattr(type(workspace.keys), "_rewrap_all", rewrap_secrets_only)
            workspace.keys.rotate()
        assert filed(workspace) == [active(workspace), old]
        workspace.keys.rotate()
        assert filed(workspace) == [active(workspace)]


def _write(settings: Settings, enough: Event, found: "multiprocessing.Queue[list[str]]") -> None:
    workspace = Workspace.open(settings=settings)
    addresses = []
    while not enough.is_set():
        with workspace.transaction() as tx:
            addresses.append(tx.put(os.urandom(50)))
            tx.node("source", "s", holds=addresses[-1:])
    found.put(addresses)


def test_rotations_beside_writers_lose_nothing(
    workspace: Workspace, settings: Settings, reopen: Callable[[], Workspace]
) -> None:
    enough, found = FORK.Event(), FORK.Queue()
    writers = [FORK.Process(target=_write, args=(settings, enough, found)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for rotation in range(1, 6):
        while len(workspace.lineage.list("source")) < 5 * rotation:
            time.sleep(0.01)
        workspace.keys.rotate()
    enough.set()
    addresses = [address for _ in writers for address in found.get(timeout=60)]
    for writer in writers:
        writer.join()
    found.close()
    assert len(addresses) >= 25
    workspace.keys.rotate()
    assert key_ids(workspace) == {active(workspace)}
    assert filed(workspace) == [active(workspace)]
    again = reopen()
    assert {len(again.objects.get(address)) for address in addresses} == {50}
    assert [*again.verify()] == []


class TestEnvironment:
    """Master keys in LEPTON_MASTER_KEY instead of the file."""

    @pytest.fixture
    def environment(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, master_key=new_key())

    @pytest.fixture
    def opened(self, environment: Settings) -> Iterator[Workspace]:
        workspace = Workspace.open(settings=environment)
        yield workspace
        workspace.close()

    def test_no_key_file_is_made(self, opened: Workspace) -> None:
        assert not (opened.home / "keys.json").exists()
        assert opened.objects.get(opened.objects.put(b"x")) == b"x"

    def test_rotation_goes_to_the_first_key(self, opened: Workspace) -> None:
        address = opened.objects.put(b"x")
        both = f"{new_key()},{opened.settings.master_key}"
        opened.close()
        with_both = Workspace.open(
            settings=msgspec.structs.replace(opened.settings, master_key=both)
        )
        assert with_both.objects.get(address) == b"x"
        assert with_both.keys.rotate() == 4
        first = both.partition(",")[0]
        with_both.close()
        alone = Workspace.open(settings=msgspec.structs.replace(opened.settings, master_key=first))
        assert alone.objects.get(address) == b"x"
        alone.close()

    def test_rotation_without_a_new_key_says_what_to_do(self, opened: Workspace) -> None:
        with pytest.raises(InvalidInput, match="put one in front"):
            opened.keys.rotate()

    def test_a_workspace_moves_from_the_file_to_the_environment(self, workspace: Workspace) -> None:
        address = workspace.objects.put(b"x")
        workspace.close()
        moved = Workspace.open(
            settings=msgspec.structs.replace(workspace.settings, master_key=new_key())
        )
        moved.keys.rotate()
        assert filed(moved) == []
        assert moved.objects.get(address) == b"x"
        moved.close()

    def test_a_wrong_key_opens_nothing(self, opened: Workspace) -> None:
        opened.close()
        with pytest.raises(KeyLost, match="master key"):
            Workspace.open(settings=msgspec.structs.replace(opened.settings, master_key=new_key()))

    @pytest.mark.parametrize("text", ["hello", "aGVsbG8=", "é"])
    def test_a_malformed_key_is_refused(self, tmp_path: Path, text: str) -> None:
        source = EnvironmentKeys(Settings(home=tmp_path, master_key=text))
        with pytest.raises(InvalidInput, match="base64 of 32 bytes"):
            source.load()


class TestFile:
    @pytest.fixture
    def file(self, workspace: Workspace) -> Path:
        workspace.close()
        return workspace.home / "keys.json"

    def test_it_is_private(self, file: Path) -> None:
        assert file.stat().st_mode & 0o777 == 0o600
        assert "key=" not in repr(KeyFile(Settings(home=file.parent)).load())

    def test_a_lost_file_is_an_error_and_no_new_key(self, file: Path, settings: Settings) -> None:
        kept = file.read_bytes()
        file.unlink()
        for _ in range(2):
            with pytest.raises(KeyLost, match="restore the file"):
                Workspace.open(settings=settings)
            assert not file.exists()
        file.touch(0o600)
        file.write_bytes(kept)
        Workspace.open(settings=settings).close()

    def test_another_workspaces_file_is_an_error(self, file: Path, settings: Settings) -> None:
        file.unlink()
        KeyFile(settings).create()
        with pytest.raises(KeyLost):
            Workspace.open(settings=settings)

    def test_a_file_that_others_may_read_is_refused(self, file: Path, settings: Settings) -> None:
        file.chmod(0o640)
        with pytest.raises(AccessDenied, match=r"0640.*chmod 600"):
            Workspace.open(settings=settings)

    @pytest.mark.parametrize("content", ["", "{}", "[1]", '{"keys": [{"id": "x"}]}', "\xff"])
    def test_a_damaged_file_is_refused(self, file: Path, settings: Settings, content: str) -> None:
        file.write_text(content, encoding="latin-1")
        with pytest.raises(Corrupt, match="damaged"):
            Workspace.open(settings=settings)

    def test_an_altered_key_is_refused(self, file: Path, settings: Settings) -> None:
        document = json.loads(file.read_text())
        document["keys"][0]["key"] = new_key()
        file.write_text(json.dumps(document))
        with pytest.raises(Corrupt, match="was altered"):
            Workspace.open(settings=settings)


class TestSecrets:
    def test_a_secret_is_made_once(
        self, workspace: Workspace, reopen: Callable[[], Workspace]
    ) -> None:
        first = workspace.keys.secret("signing", 48)
        assert len(first) == 48
        assert workspace.keys.secret("signing", 48) == first
        assert workspace.keys.secret("other") != first[:32]
        assert reopen().keys.secret("signing") == first

    def test_a_replaced_secret_is_new(self, workspace: Workspace) -> None:
        old = workspace.keys.secret("token")
        assert workspace.keys.replace_secret("a") == workspace.keys.secret("a")
        new = workspace.keys.replace_secret("a")
        assert workspace.keys.secret("a") == new
        assert workspace.keys.secret("token") == old

    def test_a_secret_may_be_made_inside_a_transaction(self, workspace: Workspace) -> None:
        with workspace.transaction() as tx:
            tx.node("model", "m", version=True)
            inside = workspace.keys.secret("signing")
        assert workspace.keys.secret("signing") == inside

    def test_swapped_secrets_are_found(self, workspace: Workspace) -> None:
        workspace.keys.secret("a")
        workspace.keys.secret("b")
        with workspace.database.write() as connection:
            query = sa.select(secrets.c.wrapped).where(secrets.c.name == "a")
            connection.execute(
                sa.update(secrets)
                .where(secrets.c.name == "b")
                .values(wrapped=connection.scalar(query))
            )
        assert [(fault.kind, fault.subject) for fault in workspace.verify()] == [("key", "b")]
        with pytest.raises(Corrupt, match="wrapped key of b"):
            workspace.keys.secret("b")

    def test_tokens_are_keyed(self, workspace: Workspace) -> None:
        assert workspace.keys.token("a") == workspace.keys.token("a") != workspace.keys.token("b")
        assert len(workspace.keys.token("a")) == 32

    def test_sealed_values_are_bound_to_their_context(self, workspace: Workspace) -> None:
        sealed = workspace.keys.seal(b"body", b"prediction 1")
        assert workspace.keys.unseal(sealed, b"prediction 1") == b"body"
        with pytest.raises(Corrupt):
            workspace.keys.unseal(sealed, b"prediction 2")


def test_a_key_never_shows() -> None:
    assert "secret" not in repr(MasterKey.of(b"secret" * 5 + b"xx"))
