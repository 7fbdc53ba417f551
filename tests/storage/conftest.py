"""Every test that asks for a workspace here runs on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.client import BaseClient
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace
from tests import postgres


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "empty_database: begins with a database without tables")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a database without rows, or, for a test marked so, without tables."""
    if request.param == "sqlite":
        yield ""
    elif request.node.get_closest_marker("empty_database"):
        with postgres.database(request.getfixturevalue("postgres_server")) as url:
            yield url
    else:
        url = request.getfixturevalue("migrated_postgres")
        postgres.empty(url)
        yield url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(home=tmp_path / "home", database_url=database_url)


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    opened = Workspace.open(settings=settings)
    yield opened
    opened.close()


@pytest.fixture
def reopen(settings: Settings) -> Iterator[Callable[[], Workspace]]:
    """Gives the workspace as a process sees it that starts now."""
    opened: list[Workspace] = []

    def open_anew() -> Workspace:
        Workspace.open(settings=settings).close()
        opened.append(Workspace.open(settings=settings))
        return opened[-1]

    yield open_anew
    for workspace in opened:
        workspace.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real S3 server on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> BaseClient:
    """A client of that server, with a bucket called lepton."""
    # What another test opened in this process may know another server.
    S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="lepton")
    return client
