"""The supervisor: the process that `lepton up` starts and that keeps the replicas running.

It holds the listening sockets, so that connections wait through the restart of a replica
instead of being refused, restarts replicas that end or hang, and archives prediction receipts. It
imports the standard library and msgspec before the replicas run: a server starts quickly.
"""

import contextlib
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import Conflict, LeptonError
from lepton_ai.core.optional import load
from lepton_ai.core.settings import Settings
from lepton_ai.serving.pidfile import PidFile

__all__ = ["Running", "command", "main", "pid_file", "replica_files"]

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_ARCHIVE_SECONDS = 1.0
_STOP_SECONDS = 20.0
_QUICK_DEATH_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 5.0
_SILENCE_SECONDS = 30.0
_BACKLOG = 1024
_NICENESS = 10
_DEFAULT_PORT = next(f.default for f in msgspec.structs.fields(Settings) if f.name == "port")


class Running(Struct, frozen=True):
    """What the pid file of a server says."""

    pid: int
    host: str
    port: int
    generation: int
    replicas: int
    ready: bool


def pid_file(home: Path) -> PidFile:
    """Return the pid file of a workspace's server."""
    return PidFile(home / "serving" / "server.pid")


def replica_files(home: Path) -> list[PidFile]:
    """Return the pid files of its replicas."""
    return [PidFile(path) for path in sorted((home / "serving" / "replicas").glob("*.pid"))]


def command(module: str, argument: str) -> list[str]:
    """Return the command that runs ``main`` of a module of the package in a new interpreter.

    The directory of the package comes last on the path and the working directory not at all, so
    that no file lying about is imported in the place of a library.
    """
    root = str(Path(__file__).resolve().parents[2])
    program = f"import sys; sys.path.append({root!r}); from {module} import main; main(sys.argv[1])"
    return [sys.executable, "-P", "-c", program, argument]


class _Replica:
    """One slot: its socket, and the process that serves it now."""

    def __init__(self, slot: int, listener: socket.socket) -> None:
        self.slot = slot
        self.listener = listener
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.ready = False
        self.heard_at = 0.0
        self.started_at = 0.0
        self.start_after = 0.0
        self.quick_deaths = 0

    def start(self, home: str, generation: int) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        orders = {
            "home": home,
            "slot": self.slot,
            "generation": generation,
            "port": self.listener.getsockname()[1],
            "listener": self.listener.fileno(),
            "line": theirs.fileno(),
        }
        with theirs:
            self.process = subprocess.Popen(
                command("lepton_ai.serving.replica", msgspec.json.encode(orders).decode()),
                stdin=subprocess.DEVNULL,
                pass_fds=(self.listener.fileno(), theirs.fileno()),
            )
        self.line = ours
        self.ready = False
        self.started_at = time.monotonic()

    def hear(self, now: float) -> None:
        """Take note of a sign of life; the first one says that the replica is ready."""
        if self.line is not None:
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                if self.line.recv(64):
                    self.ready, self.heard_at = True, now

    def silent(self, now: float) -> bool:
        """Tell whether a replica that was ready has not been heard of for too long."""
        return self.process is not None and self.ready and now - self.heard_at > _SILENCE_SECONDS

    def died(self, now: float) -> int | None:
        """Return the exit status of a process that ended since; decide when the next may start."""
        status = None if self.process is None else self.process.poll()
        if status is None or self.line is None:
            return None
        self.line.close()
        self.process = self.line = None
        self.quick_deaths = (
            self.quick_deaths + 1 if now - self.started_at < _QUICK_DEATH_SECONDS else 1
        )
        # The first restart is immediate; what keeps dying waits longer each time.
        pause = 0.0 if self.quick_deaths == 1 else 0.1 * 2.0**self.quick_deaths
        self.start_after = now + min(pause, _LONGEST_PAUSE_SECONDS)
        return status


class Supervisor:
    """Runs the replicas of one workspace's server until it is stopped.

    Args:
        settings: the workspace's settings.
        own: the pid file, held by this process.
    """

    def __init__(self, settings: Settings, own: PidFile) -> None:
        self._settings = settings
        self._own = own
        self._generation = _next_generation(settings.home)
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._home = str(settings.home)
        self._was_ready = False

    def run(self) -> int:
        """Serve; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        sockets = listen(self._settings.host, self._settings.port, self._settings.replicas)
        host, port = sockets[0].getsockname()[:2]
        replicas = [_Replica(slot, listener) for slot, listener in enumerate(sockets)]
        for replica in replicas:
            replica.start(self._home, self._generation)
        logger.info("serving at %s port %d with %d replica(s)", host, port, len(replicas))
        archiver = threading.Thread(target=self._archive_always, name="archiver")
        archiver.start()
        status = 0
        announced = None
        while not self._stopping.wait(_TICK_SECONDS):
            status = self._attend(replicas)
            if status:
                break
            ready = all(replica.ready for replica in replicas)
            self._was_ready |= ready
            running = Running(
                os.getpid(), host, port, self._generation, len(replicas), self._was_ready
            )
            if running != announced:
                self._own.write(running)
                announced = running
        logger.info("stopping")
        self._stopping.set()
        for listener in sockets:
            listener.close()
        _end([replica.process for replica in replicas if replica.process is not None])
        self._drained.set()
        archiver.join()
        logger.info("stopped")
        return status

    def _attend(self, replicas: list[_Replica]) -> int:
        """Restart what ended; return an exit status when the server cannot even start."""
        now = time.monotonic()
        for replica in replicas:
            replica.hear(now)
            if replica.silent(now) and replica.process is not None:
                logger.error("replica %d answers no more; it is killed", replica.slot)
                replica.process.kill()
                replica.process.wait()
            status = replica.died(now)
            if status is not None:
                logger.error("replica %d ended with status %d", replica.slot, status)
                if not self._was_ready:
                    return 1
            if replica.process is None and now >= replica.start_after:
                replica.start(self._home, self._generation)
                logger.info("replica %d was started again", replica.slot)
        return 0

    def _archive_always(self) -> None:
        if sys.platform == "linux":
            # There a thread has a niceness of its own: answering goes before archiving.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        # The database's libraries are imported here, while the replicas start.
        workspace = load("lepton_ai.storage:Workspace", extra="all").open(self._home)
        archive = load("lepton_ai.serving.receipts:archive", extra="all")
        last = False
        while not last:
            # Once more after the replicas have ended and left their last file complete.
            last = self._drained.wait(_ARCHIVE_SECONDS)
            try:
                archive(workspace)
            except Exception:
                logger.exception("prediction receipts stay in the journal for now")


def _next_generation(home: Path) -> int:
    """Return how many servers this workspace has had, with the one that starts."""
    file = home / "serving" / "generation"
    number = int(file.read_text() or 0) + 1 if file.exists() else 1
    # Killed in between, the next server would count from 1 and take dead replicas for its own.
    fresh = file.with_suffix(".new")
    fresh.write_text(str(number))
    fresh.replace(file)
    return number


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Return sockets that listen at one port, one for each replica.

    On Linux each is a socket of its own and the kernel spreads connections evenly over them;
    elsewhere they are the same one. The default port, when it is taken, gives way to a free one.

    Raises:
        Conflict: the port, which was set by the user, is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets = [_bind(family, host, port)]
    address = sockets[0].getsockname()
    for _ in range(count - 1):
        if sys.platform == "linux":
            # Set after the first bind, which thereby fails at a port that anybody uses.
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            another = socket.socket(family, socket.SOCK_STREAM)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            another.bind(address)
        else:
            another = sockets[0].dup()
        sockets.append(another)
    for listener in sockets:
        listener.listen(_BACKLOG)
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        if port == _DEFAULT_PORT and error.errno == errno.EADDRINUSE:
            listener.bind((host, 0))
            logger.warning("port %d is taken; using port %d", port, listener.getsockname()[1])
            return listener
        listener.close()
        raise Conflict(
            f"cannot listen at {host} port {port}: {error.strerror}; set LEPTON_PORT to a free "
            "port, or to 0 for any, and LEPTON_HOST to an address of this machine"
        ) from error
    return listener


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Let processes finish what they do, but not for ever."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.error("process %d does not end; it is killed", process.pid)
            process.kill()
            process.wait()


def _end_orphans(home: Path) -> None:
    """Wait for the replicas of a supervisor that was killed; they end by themselves."""
    deadline = time.monotonic() + _STOP_SECONDS
    for file in replica_files(home):
        while (pid := file.read(int)) is not None:
            if time.monotonic() > deadline:
                logger.error("replica %d of an earlier server does not end; it is killed", pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def main(home: str) -> None:
    """Run the server of a workspace; standard error is its log.

    The caller's child returns at once; its own child is nobody's and goes on, so that no program
    that started a server is left with the remains of a process when the server ends.
    """
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    settings = Settings.load(home)
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)s supervisor [{os.getpid()}] %(message)s",
    )
    own = pid_file(settings.home)
    try:
        own.acquire()
        _end_orphans(settings.home)
        status = Supervisor(settings, own).run()
        own.release()
    except LeptonError as error:
        logger.error("%s", error)
        status = 1
    sys.exit(status)
