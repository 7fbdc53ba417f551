"""Prediction receipts: what was answered to whom, by which model, and on which decision.

A replica appends one record for each batch to its journal before the answers leave. The
archiver, in the supervisor, moves complete journal files into the table `predictions`. A
receipt is looked for in both places, so it can be read from the moment the answer was sent,
whether the server still runs or was killed.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import Corrupt, NotFound
from lepton_ai.ml.outcome import Outcome
from lepton_ai.serving import journal
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import predictions

__all__ = ["Batch", "Entry", "Receipt", "archive", "digest_key", "journal_of", "receipt"]

logger = logging.getLogger(__name__)

_ROWS_PER_TRANSACTION = 2000


class Entry(Struct, frozen=True, array_like=True):
    """One answer in the journal; ``answers`` are float64, little-endian, row by row."""

    id: str
    principal: str
    digest: bytes
    labels: list[str]
    answers: bytes


class Batch(Struct, frozen=True, array_like=True):
    """One record of the journal: what the answers of one batch share, and the answers."""

    time: float
    endpoint: str
    deployment_id: str
    model_id: str
    version: int
    replica: str
    outcome: Outcome
    entries: list[Entry]


class Receipt(Struct, frozen=True):
    """What is known of one answer.

    Attributes:
        id: the prediction's id, ``prd_...``.
        created_at: when it was computed, in UTC.
        endpoint: the name in the URL.
        deployment_id: lineage node of the deployment.
        model_id: lineage node of the model.
        version: the model's version.
        replica: the process that answered.
        principal: who asked.
        permission: what the principal was allowed by policy.
        input_digest: keyed digest of the input as received; :meth:`matches` compares.
        output: what was answered for each row, such as a label and probabilities by class.
    """

    id: str
    created_at: datetime
    endpoint: str
    deployment_id: str
    model_id: str
    version: int
    replica: str
    principal: str
    permission: str
    input_digest: str
    output: list[dict[str, Any]]

    def matches(self, workspace: Workspace, data: bytes) -> bool:
        """Tell whether ``data`` is the very input: a request's body, or the uploaded file."""
        keyed = hashlib.blake2b(data, key=digest_key(workspace), digest_size=16)
        return hmac.compare_digest(keyed.hexdigest(), self.input_digest)


def journal_of(workspace: Workspace) -> tuple[Path, bytes]:
    """Return the directory of the journal's files and the secret they are sealed under."""
    return workspace.home / "serving" / "journal", workspace.keys.secret("prediction journal")


def digest_key(workspace: Workspace) -> bytes:
    """Return the key of the digests of inputs, 32 bytes."""
    return workspace.keys.secret("prediction digests")


def receipt(workspace: Workspace, prediction_id: str) -> Receipt:
    """Return the receipt of an answer.

    Raises:
        NotFound: no answer with this id was sent.
        Corrupt: the receipt, or a journal file that may hold it, was altered.
    """
    found = (
        _from_table(workspace, prediction_id)
        or _from_journal(workspace, prediction_id)
        # The archiver may have moved it from the one to the other in between.
        or _from_table(workspace, prediction_id)
    )
    if found is None:
        raise NotFound(
            f"there is no prediction {prediction_id!r} in the workspace {workspace.home}; its id "
            "is the field 'id' of an answer and its header lepton-prediction-id"
        )
    return found


def _from_table(workspace: Workspace, prediction_id: str) -> Receipt | None:
    query = sa.select(predictions.c.body).where(predictions.c.id == prediction_id)
    with workspace.database.read() as connection:
        body = connection.scalar(query)
    if body is None:
        return None
    plain = workspace.keys.unseal(body, prediction_id.encode())
    return _receipt(*msgspec.msgpack.decode(plain, type=tuple[Batch, int]))


def _from_journal(workspace: Workspace, prediction_id: str) -> Receipt | None:
    directory, secret = journal_of(workspace)
    broken: Corrupt | None = None
    for path in sorted(directory.glob("*.*"), reverse=True):
        try:
            for batch in _batches(path, secret):
                for index, entry in enumerate(batch.entries):
                    if entry.id == prediction_id:
                        return _receipt(batch, index)
        except FileNotFoundError:
            continue
        except Corrupt as error:
            broken = error
    if broken is not None:
        raise broken
    return None


def _batches(path: Path, secret: bytes) -> Iterator[Batch]:
    for record in journal.read(path, secret):
        yield msgspec.msgpack.decode(record, type=Batch)


def _receipt(batch: Batch, index: int) -> Receipt:
    entry = batch.entries[index]
    answers = np.frombuffer(entry.answers, dtype="<f8").reshape(-1, batch.outcome.width)
    return Receipt(
        id=entry.id,
        created_at=datetime.fromtimestamp(batch.time, UTC),
        endpoint=batch.endpoint,
        deployment_id=batch.deployment_id,
        model_id=batch.model_id,
        version=batch.version,
        replica=batch.replica,
        principal=entry.principal,
        permission="predict",
        input_digest=entry.digest.hex(),
        output=batch.outcome.records(entry.labels, answers),
    )


def archive(workspace: Workspace) -> int:
    """Move every complete journal file into the database; return how many answers came.

    Run by one process at a time. Killed anywhere, it loses nothing: a file goes when its
    answers are committed, and answers that come twice are kept once. A file that was altered
    keeps lying there, renamed, and what could be read of it is kept.
    """
    directory, secret = journal_of(workspace)
    moved = 0
    for path in journal.complete(directory):
        begin = time.perf_counter()
        count = 0
        try:
            rows: list[dict[str, Any]] = []
            for batch in _batches(path, secret):
                rows += _rows(workspace, batch)
                if len(rows) >= _ROWS_PER_TRANSACTION:
                    count += _insert(workspace, rows)
                    rows = []
            count += _insert(workspace, rows)
        except Corrupt as error:
            count += _insert(workspace, rows)
            logger.error("%s; it is kept as %s", error, path.with_suffix(".corrupt").name)
            path.rename(path.with_suffix(".corrupt"))
        else:
            path.unlink()
        moved += count
        logger.debug("archived %d in %.3f s", count, time.perf_counter() - begin)
    return moved


def _rows(workspace: Workspace, batch: Batch) -> Iterator[dict[str, Any]]:
    for entry in batch.entries:
        alone = msgspec.structs.replace(batch, entries=[entry])
        yield {
            "id": entry.id,
            "created_at": datetime.fromtimestamp(batch.time, UTC),
            "deployment_id": batch.deployment_id,
            "model_id": batch.model_id,
            "principal": entry.principal,
            "body": workspace.keys.seal(msgspec.msgpack.encode((alone, 0)), entry.id.encode()),
        }


def _insert(workspace: Workspace, rows: Sequence[dict[str, Any]]) -> int:
    if rows:
        insert = workspace.database.insert(predictions).on_conflict_do_nothing()
        with workspace.database.write() as connection:
            connection.execute(insert, rows)
    return len(rows)
