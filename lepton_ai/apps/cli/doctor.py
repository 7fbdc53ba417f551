"""`lepton doctor`: every part checked by using it, with what to do where one fails."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
import urllib3
from msgspec import Struct

from lepton_ai import __version__
from lepton_ai.apps.cli.output import as_json, console, print_json
from lepton_ai.core.errors import LeptonError
from lepton_ai.security.signing import sign, verify
from lepton_ai.serving import process
from lepton_ai.storage import Workspace
from lepton_ai.storage.files import denied
from lepton_ai.storage.verify import verify_metadata

__all__ = ["doctor"]

_MARKS = {"ok": "[green]ok[/green]  ", "warn": "[yellow]warn[/yellow]", "fail": "[red]FAIL[/red]"}
_LOW_DISK = 2 * 2**30
_EXTRAS = {
    "deep": "torch",
    "boost": "lightgbm",
    "cluster": "ray",
    "postgres": "psycopg",
    "s3": "s3fs",
    "frames": "pandas",
}


class Finding(Struct, frozen=True):
    """What one check found: ok, warn or fail, in a sentence, and what to do about it."""

    part: str
    state: str
    detail: str
    advice: str = ""


def _python(workspace: Workspace) -> Finding:
    installed = []
    for extra, library in _EXTRAS.items():
        try:
            version(library)
            installed.append(extra)
        except PackageNotFoundError:
            continue
    extras = f"extras: {', '.join(installed)}" if installed else "no extras"
    detail = f"lepton-ai {__version__}, Python {platform.python_version()}, {extras}"
    return Finding("installation", "ok", detail)


def _home(workspace: Workspace) -> Finding:
    exposed = workspace.exposed()
    if exposed:
        names = " ".join(str(path) for path in exposed)
        detail = f"other users may open {names}"
        return Finding("workspace", "fail", detail, f"run: chmod go-rwx {names}")
    _writable(workspace, workspace.home)
    return Finding("workspace", "ok", f"{workspace.home}, open to its owner only")


def _writable(workspace: Workspace, path: Path) -> None:
    # What is stored already is not written again, so storing it proves nothing.
    if not os.access(path, os.W_OK):
        raise denied(workspace.home)


def _disk(workspace: Workspace) -> Finding:
    free = shutil.disk_usage(workspace.home).free
    detail = f"{free / 2**30:,.1f} GiB free"
    if free < _LOW_DISK:
        advice = "free some space, or run: lepton storage collect"
        return Finding("disk", "warn", detail, advice)
    return Finding("disk", "ok", detail)


def _database(workspace: Workspace) -> Finding:
    faults = list(verify_metadata(workspace.database, workspace.keys))
    if faults:
        return Finding(
            "database",
            "fail",
            f"{len(faults)} faults, the first: {faults[0].detail}",
            "restore the workspace from a backup",
        )
    if workspace.database.dialect == "sqlite":
        _writable(workspace, Path(str(workspace.database.url.database)))
    revision = workspace.database.revision()
    return Finding("database", "ok", f"{workspace.database.dialect}, schema {revision}, intact")


def _objects(workspace: Workspace) -> Finding:
    _writable(workspace, workspace.home / "objects")
    text = b"lepton doctor"
    address = workspace.objects.put(text)
    if workspace.objects.get(address) != text:
        return Finding("objects", "fail", "what was stored came back altered", "check the disk")
    where = workspace.settings.objects_url or workspace.home / "objects"
    return Finding("objects", "ok", f"stored, encrypted and read again in {where}")


def _signing(workspace: Workspace) -> Finding:
    verify(workspace, sign(workspace, b"lepton doctor"))
    return Finding("signatures", "ok", "signed and checked with the workspace's Ed25519 key")


def _server(workspace: Workspace) -> Finding:
    status = process.status(workspace)
    if not status.running or status.url is None:
        return Finding("server", "ok", "not running; `lepton up` or a deployment starts it")
    answer = urllib3.request("GET", f"{status.url}/v2/health/live", timeout=5, retries=False)
    if answer.status != 200:
        detail = f"{status.url} answers {answer.status}"
        return Finding("server", "fail", detail, "look at: lepton logs")
    count = len(status.replicas)
    replicas = f"{count} replica" + ("" if count == 1 else "s")
    return Finding("server", "ok", f"alive at {status.url}, {replicas}")


def _endpoints(workspace: Workspace) -> Finding:
    failed = [point for point in process.status(workspace).endpoints if point.state == "failed"]
    if failed:
        detail = "; ".join(f"{point.name}: {point.reason}" for point in failed)
        return Finding("endpoints", "fail", detail, "deploy another version: lepton deploy MODEL")
    count = len(process.status(workspace).endpoints)
    return Finding("endpoints", "ok", f"{count} deployed, none failed")


def _exposure(workspace: Workspace) -> Finding:
    host = workspace.settings.host
    if host not in ("127.0.0.1", "::1", "localhost"):
        detail = f"the server binds to {host}: other machines reach it, without TLS"
        return Finding("network", "warn", detail, "put a TLS proxy in front, or unset LEPTON_HOST")
    return Finding("network", "ok", f"the server binds to {host}; only this machine reaches it")


_CHECKS: dict[str, Callable[[Workspace], Finding]] = {
    "installation": _python,
    "workspace": _home,
    "disk": _disk,
    "database": _database,
    "objects": _objects,
    "signatures": _signing,
    "network": _exposure,
    "server": _server,
    "endpoints": _endpoints,
}


def _examine(part: str, check: Callable[[Workspace], Finding], workspace: Workspace) -> Finding:
    try:
        return check(workspace)
    except (LeptonError, OSError, urllib3.exceptions.HTTPError) as error:
        return Finding(part, "fail", str(error), "mend this first, then run `lepton doctor` again")


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check every part of the workspace by using it, and say what to do.

    Exits with 1 when a part fails. `lepton storage verify` also re-reads every stored byte.
    """
    workspace = Workspace.open()
    findings = [_examine(part, check, workspace) for part, check in _CHECKS.items()]
    if as_json:
        print_json(findings)
    else:
        output = console()
        for finding in findings:
            mark = _MARKS[finding.state]
            output.print(f"{mark} {finding.part:<13}", end="")
            output.print(finding.detail, markup=False, soft_wrap=True)
            if finding.advice:
                output.print(f"{'':<19}-> {finding.advice}", markup=False, soft_wrap=True)
    if any(finding.state == "fail" for finding in findings):
        sys.exit(1)
