"""The server's process: start it, stop it, look at it, read its log.

The server outlives the program that starts it. `up`, `down` and `status` may be called by any
number of processes at once.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from filelock import FileLock
from msgspec import Struct

from lepton_ai.core.errors import Unavailable
from lepton_ai.core.settings import Settings
from lepton_ai.serving.reports import Loaded, Report, reports
from lepton_ai.serving.supervisor import Running, command, pid_file, replica_files
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import deployments

__all__ = [
    "EndpointStatus",
    "ServerStatus",
    "StartFailed",
    "down",
    "log_path",
    "logs",
    "status",
    "up",
]

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LARGEST_LOG = 16 * 2**20
_TAIL_LINES = 20


class StartFailed(Unavailable):
    """The server did not start; the message has the end of its log."""


class EndpointStatus(Struct, frozen=True):
    """One endpoint as it shall be, and whether every replica serves it so.

    ``state`` is live, stopped, failed, ``starting`` while replicas load the model, or
    ``not served`` while no server runs. ``reason`` says what failed, if only the last attempt to
    deploy another model here.
    """

    name: str
    state: str
    url: str
    deployment_id: str
    model_id: str
    model: str
    updated_at: datetime
    reason: str


class ServerStatus(Struct, frozen=True):
    """The server of a workspace; without one, ``running`` is false and the rest is desired."""

    running: bool
    pid: int | None
    url: str | None
    log: str
    replicas: list[Report]
    endpoints: list[EndpointStatus]


def log_path(workspace: Workspace) -> Path:
    """Return where the server's log lies."""
    return workspace.home / "serving" / "server.log"


def url_of(running: Running) -> str:
    """Return the root URL of a running server."""
    host = f"[{running.host}]" if ":" in running.host else running.host
    return f"http://{host}:{running.port}"


def up(workspace: Workspace, timeout: float = _START_SECONDS) -> ServerStatus:
    """Start the workspace's server unless it runs, and wait until it answers.

    What a server that was killed left behind is cleared away first. The new one serves what
    was deployed before.

    Args:
        timeout: seconds to wait.

    Raises:
        StartFailed: the server did not start; the message has the end of its log.
    """
    directory = workspace.home / "serving"
    directory.mkdir(mode=0o700, exist_ok=True)
    deadline = time.monotonic() + timeout
    log = log_path(workspace)
    before = log.stat().st_size if log.exists() else 0
    with FileLock(directory / "up.lock", timeout=timeout):
        own = pid_file(workspace.home)
        started = None if own.held() else _Started(workspace)
        try:
            while True:
                running = own.read(Running)
                if running is not None and running.ready:
                    return status(workspace)
                if started is None and not own.held():
                    # The server that ran was just going down.
                    started = _Started(workspace)
                elif started is not None and started.ended():
                    if own.held():
                        # One came first that a program was starting when it was killed.
                        started.close()
                        started = None
                        continue
                    raise StartFailed(
                        f"the inference server did not start; its log, {log}, ends with:\n"
                        f"{_tail(log, before)}"
                    )
                if time.monotonic() > deadline:
                    raise StartFailed(
                        f"the inference server is not ready after {timeout:.0f} s; its log, {log}, "
                        f"ends with:\n{_tail(log, before)}"
                    )
                time.sleep(0.02)
        finally:
            if started is not None:
                started.close()


class _Started:
    """A server that was just started: the end of a pipe that closes when it ends."""

    def __init__(self, workspace: Workspace) -> None:
        path = log_path(workspace)
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        self._end, theirs = os.pipe()
        os.set_blocking(self._end, False)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # A session of its own: neither the caller's end nor Ctrl+C in its terminal ends it.
            subprocess.run(
                command("lepton_ai.serving.supervisor", str(workspace.home)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=workspace.home,
                env=_environment(workspace.settings),
                pass_fds=(theirs,),
                start_new_session=True,
                check=True,
            )
        except BaseException:
            self.close()
            raise
        finally:
            os.close(log)
            os.close(theirs)

    def ended(self) -> bool:
        try:
            return not os.read(self._end, 1)
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._end)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the caller's variables, with the settings of this workspace as it was opened."""
    values = {f"LEPTON_{name.upper()}": str(value) for name, value in _fields(settings).items()}
    others = {name: text for name, text in os.environ.items() if name not in values}
    return others | {name: text for name, text in values.items() if text}


def _fields(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


def down(workspace: Workspace, timeout: float = _STOP_SECONDS) -> bool:
    """Stop the workspace's server once it has answered what it has; False when none runs.

    Args:
        timeout: seconds until it is killed.
    """
    own = pid_file(workspace.home)
    running = own.read(Running)
    deadline = time.monotonic() + timeout
    while running is None and own.held() and time.monotonic() < deadline:
        # It is starting, and does not say yet which process it is.
        time.sleep(0.02)
        running = own.read(Running)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    while own.held():
        if time.monotonic() > deadline:
            _kill([running.pid, *(file.read(int) for file in replica_files(workspace.home))])
        time.sleep(0.02)
    return True


def _kill(pids: Iterable[int | None]) -> None:
    for pid in filter(None, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def status(workspace: Workspace) -> ServerStatus:
    """Return what runs and what is served."""
    running = pid_file(workspace.home).read(Running)
    with workspace.database.read() as connection:
        wanted = connection.execute(sa.select(deployments).order_by(deployments.c.name)).all()
    living = reports(workspace)
    loaded = [report.loaded for report in living]
    url = None if running is None else url_of(running)
    models = workspace.lineage.nodes({row.model_id for row in wanted})
    endpoints = []
    for row in wanted:
        state, reason = row.state, ""
        if state == "live":
            state, reason = _state(row.name, row.node_id, loaded)
        endpoints.append(
            EndpointStatus(
                name=row.name,
                state=state,
                url=f"{url or ''}/models/{quote(row.name)}/predict",
                deployment_id=row.node_id,
                model_id=row.model_id,
                model=models[row.model_id].ref,
                updated_at=row.updated_at,
                reason=reason,
            )
        )
    return ServerStatus(
        running=running is not None,
        pid=None if running is None else running.pid,
        url=url,
        log=str(log_path(workspace)),
        replicas=living,
        endpoints=endpoints,
    )


def _state(name: str, deployment_id: str, loaded: list[Loaded]) -> tuple[str, str]:
    for report in loaded:
        failure = report.failed.get(name)
        if failure is not None and failure.deployment_id == deployment_id:
            return "failed", failure.reason
    if loaded and all(report.serving.get(name) == deployment_id for report in loaded):
        later = next((r.failed[name] for r in loaded if name in r.failed), None)
        return "live", f"{later.deployment_id} failed: {later.reason}" if later else ""
    return "starting" if loaded else "not served", ""


def logs(workspace: Workspace, lines: int = 100, follow: bool = False) -> Iterator[str]:
    """Yield the last lines of the server's log, without their line ends.

    Args:
        lines: how many.
        follow: go on with what is written from then on, until the caller stops.
    """
    path = log_path(workspace)
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from _last(file.read().splitlines(), lines)
        while follow:
            line = file.readline()
            if line:
                yield line.rstrip("\n")
            else:
                time.sleep(0.2)


def _last(lines: list[str], count: int) -> list[str]:
    return lines[-count:] if count else []


def _tail(log: Path, before: int) -> str:
    """Return the last lines that were written since the log had so many bytes."""
    with log.open("rb") as file:
        # A log that was rolled meanwhile begins anew.
        file.seek(before if before <= log.stat().st_size else 0)
        written = file.read().decode(errors="replace")
    return "\n".join(written.splitlines()[-_TAIL_LINES:])
