import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from lepton_ai.core.errors import Corrupt
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry, get_entry
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import entries


def test_an_entry_is_empty_until_somebody_says_something(workspace: Workspace) -> None:
    assert get_entry(workspace, "patients") == Entry()
    columns = {"name": ColumnEntry(tags=("personal",))}
    change_entry(workspace, "patients", lambda entry: replace(entry, owner="ward 3"))
    change_entry(workspace, "patients", lambda entry: replace(entry, columns=columns))
    assert get_entry(workspace, "patients") == Entry(owner="ward 3", columns=columns)


def test_the_entry_of_another_dataset_cannot_stand_in(workspace: Workspace) -> None:
    for name in ("open", "secret"):
        change_entry(workspace, name, lambda entry: replace(entry, owner="me"))
    with workspace.database.write() as connection:
        other = sa.select(entries.c.body).where(entries.c.name == "open").scalar_subquery()
        connection.execute(sa.update(entries).where(entries.c.name == "secret").values(body=other))
    with pytest.raises(Corrupt, match="'secret' was altered"):
        get_entry(workspace, "secret")
