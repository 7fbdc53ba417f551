"""Erase: one person leaves everything that a workspace keeps.

Tables, images, imported files, what was derived from them, models, the lineage's own facts and
every backup; and a signed report says what was done.
"""

from lepton_ai.data.erase.erase import erase_subject
from lepton_ai.data.erase.find import SUBJECT, Found, find
from lepton_ai.data.erase.report import BackupRenewed, ErasureReport, read_report
from lepton_ai.data.erase.subject import Subject

__all__ = [
    "SUBJECT",
    "BackupRenewed",
    "ErasureReport",
    "Found",
    "Subject",
    "erase_subject",
    "find",
    "read_report",
]
