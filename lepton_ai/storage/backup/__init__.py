"""Backup: copies of a workspace elsewhere, full at first and then only what is new.

Packs are immutable and sealed already, so a backup copies those that its destination lacks, and
writes one *snapshot*: a dump of the whole metadata database, sealed under a key of its own that
the master key wraps. Key files are never part of a backup.
"""

from lepton_ai.storage.backup.create import BackupInfo, create_backup, place_of
from lepton_ai.storage.backup.keep import list_backups, prune_backups
from lepton_ai.storage.backup.record import forget, recorded
from lepton_ai.storage.backup.restore import restore_backup, verify_backup

__all__ = [
    "BackupInfo",
    "create_backup",
    "forget",
    "list_backups",
    "place_of",
    "prune_backups",
    "recorded",
    "restore_backup",
    "verify_backup",
]
