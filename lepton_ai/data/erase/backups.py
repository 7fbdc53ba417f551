"""Backups: each place that holds some gets a new one, and those that held the person go."""

from collections.abc import Collection, Iterable

from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, LeptonError
from lepton_ai.core.settings import without_password
from lepton_ai.data.erase.report import BackupRenewed
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import (
    create_backup,
    list_backups,
    place_of,
    prune_backups,
    recorded,
)

__all__ = ["Place", "recorded_backups", "renew_all"]


class Place(Struct, frozen=True):
    """A destination, the ids of the backups that were made there and whether it is said gone."""

    url: str
    ids: frozenset[str]
    gone: bool


def recorded_backups(workspace: Workspace, gone: Collection[str] = ()) -> list[Place]:
    """Return every place that backups were made to and that nobody removed since.

    Raises:
        InvalidInput: one that is said to be gone was never one.
    """
    ids: dict[str, set[str]] = {}
    for backup in recorded(workspace):
        ids.setdefault(backup.url, set()).add(backup.id)
    # Older versions recorded passwords too; what is said of such a place need not repeat them.
    said = {without_password(place_of(url)) for url in gone}
    known = {without_password(url) for url in ids}
    if odd := sorted(said - known):
        raise InvalidInput(
            f"no backup was made to {odd[0]}; the places of backups are: "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    return [Place(url, frozenset(ids[url]), without_password(url) in said) for url in sorted(ids)]


def renew_all(
    workspace: Workspace, places: Iterable[Place], clean: Collection[str], *, renew: bool = True
) -> list[BackupRenewed]:
    """Make the newest backup of each place anew, and remove those that hold the person.

    Args:
        clean: ids of backups that were made after the person was erased.
        renew: whether to reach the backups at all.
    """
    return [_renewed(workspace, place, clean, renew=renew) for place in places]


def _renewed(
    workspace: Workspace, place: Place, clean: Collection[str], *, renew: bool
) -> BackupRenewed:
    url, shown = place.url, without_password(place.url)
    if not renew:
        return BackupRenewed(shown, error="left alone; ask again without --no-backups")
    try:
        old = [info.id for info in list_backups(url, workspace.id)]
    except LeptonError as error:
        return _missing(place, BackupRenewed(shown), place.ids - {*clean}, f"{error}. ")
    try:
        new = create_backup(workspace, url, new_place=place.gone).id
        prune_backups(workspace, url, keep=1)
    except LeptonError as error:
        return BackupRenewed(shown, error=str(error))
    done = BackupRenewed(shown, new, tuple(old))
    # What is not there and was to be on this very disk never came to be, and left the record.
    still = {backup.id for backup in recorded(workspace) if backup.url == url}
    return _missing(place, done, still - {*clean, *old, new})


def _missing(
    place: Place, done: BackupRenewed, missing: Collection[str], why: str = ""
) -> BackupRenewed:
    """Say of recorded backups that were not found that they are gone, or what to do."""
    ids = tuple(sorted(missing))
    if not ids:
        return done
    if place.gone:
        return BackupRenewed(done.url, done.backup, done.removed, "", ids, current_principal().name)
    return BackupRenewed(
        done.url,
        done.backup,
        done.removed,
        f"{why}Not found there: {', '.join(ids)}. Plug in the disk that has them and ask again; "
        f"if they exist no more, say so: --gone {done.url}",
    )
