"""Brings the metadata database to the newest schema, through Alembic.

Apart from :mod:`lepton_ai.storage.database`, because Alembic takes half a second to import
and a database that is up to date needs none of it.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from lepton_ai.core.errors import Conflict

__all__ = ["configuration", "upgrade"]


def configuration() -> Config:
    """Return Alembic's configuration for the migrations of this package."""
    config = Config()
    # The value goes through ConfigParser, where a bare % starts an interpolation.
    location = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", location)
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the missing migrations inside the connection's open transaction.

    Args:
        revision: the last to run.

    Raises:
        Conflict: a newer version of Lepton AI made the database.
    """
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise Conflict(
            f"the metadata database was made by a newer version of Lepton AI ({error}); "
            "run: pip install --upgrade lepton-ai"
        ) from error
