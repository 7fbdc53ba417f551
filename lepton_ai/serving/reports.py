"""What a replica reports in the table `replicas`, and which reports are of living replicas.

It loads no model code: the commands that look at a server stay light.
"""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.serving.supervisor import Running, pid_file
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import replicas

__all__ = ["HEARTBEAT_SECONDS", "Failure", "Loaded", "Report", "place", "reports"]

HEARTBEAT_SECONDS = 5.0


class Failure(Struct, frozen=True):
    """Why the wanted deployment of an endpoint is not served."""

    deployment_id: str
    reason: str


class Loaded(Struct, frozen=True):
    """The deployment served at each endpoint, and what could not be loaded."""

    serving: dict[str, str] = {}
    failed: dict[str, Failure] = {}


class Report(Struct, frozen=True):
    """What a replica says of itself."""

    id: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    loaded: Loaded


def place(home: Path) -> str:
    """Return which machine and workspace directory a server belongs to.

    Workspaces on several machines, or several on one, may share a database.
    """
    return f"{socket.gethostname()}:{home}"


def reports(workspace: Workspace) -> list[Report]:
    """Return the reports of the replicas that live.

    Replicas of this place live when they belong to the server that runs now; others as long as
    they report.
    """
    running = pid_file(workspace.home).read(Running)
    here = place(workspace.home)
    now = datetime.now(UTC)
    with workspace.database.read() as connection:
        rows: Sequence[sa.Row[Any]] = connection.execute(
            sa.select(replicas).order_by(replicas.c.id)
        ).all()
    return [
        Report(
            row.id,
            row.pid,
            row.started_at,
            row.heartbeat_at,
            msgspec.convert(row.loaded, Loaded),
        )
        for row in rows
        if (
            running is not None and row.generation == running.generation
            if row.host == here
            else (now - row.heartbeat_at).total_seconds() < 3 * HEARTBEAT_SECONDS
        )
    ]
