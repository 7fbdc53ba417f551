"""A throw-away PostgreSQL server for the tests that need a real one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

_MISSING = (
    "SKIPPED FOR LACK OF POSTGRESQL: install the Debian package postgresql (`make packages`), "
    "or set LEPTON_TEST_POSTGRES to the URL of a database in which schemas may be created"
)


@contextmanager
def server() -> Iterator[str]:
    """Give the URL of a server: that of LEPTON_TEST_POSTGRES, else one started for the block.

    It listens on a socket in a private directory only, and is stopped by `pg_ctl`.
    """
    if url := os.environ.get("LEPTON_TEST_POSTGRES"):
        yield url
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip(_MISSING)
    programs_folder = programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="lepton-postgres-"))
    data = folder / "data"
    prefix: Sequence[str] = ()
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        prefix = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")

    def run(program: str, *arguments: str) -> None:
        command = [*prefix, str(programs_folder / program), "-D", str(data), *arguments]
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        options = (
            f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=200 "
            "-c shared_buffers=32MB"
        )
        # Its log goes to a file: a pipe that the server inherits would never end.
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Give the URL of an empty schema, which goes with the block; faster than a database."""
    url = sa.make_url(server_url).set(drivername="postgresql+psycopg")
    name = f"lepton_{uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    try:
        inside = url.update_query_dict({"options": f"-csearch_path={name}"})
        yield inside.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))


def empty(database_url: str) -> None:
    """Take every row out of the tables but leave them there, which is faster still."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        names = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
        if names:
            connection.execute(sa.text(f"TRUNCATE {', '.join(sorted(names))}"))
