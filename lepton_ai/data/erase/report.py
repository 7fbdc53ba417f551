"""Report: what an erasure did, signed, and nothing in it that names the person."""

from datetime import datetime

import msgspec
from msgspec import Struct

from lepton_ai.core.errors import Corrupt
from lepton_ai.security.signing import sign, verify
from lepton_ai.storage import Workspace

__all__ = ["BackupRenewed", "ErasureReport", "read_report", "sign_report"]

_TYPE = "application/vnd.lepton-ai.erasure+json"


class BackupRenewed(Struct, frozen=True):
    """What was done to the backups of one destination.

    Attributes:
        url: of the destination, without a password.
        backup: the new one, made after the erasure; empty where there was none to renew.
        removed: older ones, which held the person.
        error: why it could not be done, where it could not.
        gone: ids of those that were not found there, and are said to exist no more.
        said_by: who said so.
    """

    url: str
    backup: str = ""
    removed: tuple[str, ...] = ()
    error: str = ""
    gone: tuple[str, ...] = ()
    said_by: str = ""


class ErasureReport(Struct, frozen=True, kw_only=True):
    """What was erased.

    Attributes:
        id: of the erasure's node in the lineage.
        workspace: its id.
        subject: a keyed token: whoever has the workspace can tell whether it stands for a
            person, nobody else can tell for whom.
        started_at: in UTC; so is ``finished_at``.
        rows: how many were removed from the newest version of each table and branch.
        versions: of datasets whose rows or images are gone.
        emptied: tables that were made from such rows and have no column to find a person by.
        remade: tables that had columns, tags or branches called after the person, made anew
            without them; one that was called after the person itself is gone.
        images: how many were removed from each image set.
        sources: how many files, as they had been imported, were removed.
        records: how many nodes of the lineage, receipts and catalog entries were blackened.
        objects: how many stored contents were destroyed, keys and bytes.
        stale_models: models that learned from what is gone, and still serve.
        withdrawn_models: models that held rows themselves, and are gone.
        kept: derived datasets that were declared to hold nothing of anyone, and sets, models and
            imported files of which what cannot be looked into was declared not to be theirs.
        backups: what became of them.
        left: what still names the person, and why; empty when the erasure is complete.
        not_searched: what could not be looked into, such as encrypted documents, and why; empty
            when the erasure is complete.
        without_text: how many documents of each set, or other contents of what holds them, have
            pages that are pictures, as scans are, in which nobody looked for the person.
    """

    id: str
    workspace: str
    subject: str
    started_at: datetime
    finished_at: datetime
    rows: dict[str, int]
    versions: tuple[str, ...]
    emptied: tuple[str, ...]
    remade: tuple[str, ...] = ()
    images: dict[str, int]
    sources: int
    records: int
    objects: int
    stale_models: tuple[str, ...]
    withdrawn_models: tuple[str, ...]
    kept: tuple[str, ...]
    backups: tuple[BackupRenewed, ...]
    left: tuple[str, ...]
    not_searched: tuple[str, ...] = ()
    without_text: dict[str, int] = {}

    @property
    def complete(self) -> bool:
        """Whether nothing is left, here and in any backup, and all but pictures was searched."""
        done = not any(backup.error for backup in self.backups)
        return done and not self.left and not self.not_searched


def sign_report(workspace: Workspace, report: ErasureReport) -> bytes:
    """Return a report signed with the workspace's Ed25519 key: a DSSE envelope, as JSON."""
    return sign(workspace, msgspec.json.encode(report), _TYPE)


def read_report(workspace: Workspace, envelope: bytes) -> ErasureReport:
    """Return the report of an envelope that this workspace signed.

    Raises:
        Corrupt: it was altered, or signed by another.
    """
    try:
        return msgspec.json.decode(verify(workspace, envelope, _TYPE), type=ErasureReport)
    except msgspec.DecodeError as error:
        raise Corrupt(f"this is no report of an erasure: {error}") from error
