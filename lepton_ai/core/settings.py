"""Settings: ``LEPTON_*`` variables over ``lepton.toml`` in the workspace over the defaults."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert, structs

from lepton_ai.core.errors import InvalidInput

__all__ = ["Settings", "describe", "holds_password", "home_of", "without_password"]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a user can set, with its default.

    A field ``name`` is read from the variable ``LEPTON_NAME``, else from the key ``name``
    of ``lepton.toml`` in the workspace directory, else it keeps its default.
    """

    home: Annotated[
        Path, Meta(description="The workspace directory; only the variable can set it.")
    ]
    database_url: Annotated[
        str,
        Meta(
            description="Metadata database as an SQLAlchemy URL, such as "
            "postgresql+psycopg://user@host/name; empty: SQLite in the workspace."
        ),
    ] = ""
    objects_url: Annotated[
        str,
        Meta(
            description="Where encrypted objects lie, as an fsspec URL such as s3://bucket/prefix; "
            "empty: the directory objects/ in the workspace."
        ),
    ] = ""
    master_key: Annotated[
        str,
        Meta(
            description="Master keys, base64 of 32 bytes each, the newest first, comma-separated; "
            "empty: the file keys.json in the workspace, mode 0600."
        ),
    ] = ""
    backup_url: Annotated[
        str,
        Meta(
            description="Where `lepton backup` keeps backups: a directory, or an fsspec URL such "
            "as s3://bucket/prefix."
        ),
    ] = ""
    datasets: Annotated[
        str,
        Meta(
            description="A folder that `lepton data pull` looks for open data sets in first; "
            "empty: the package index and official addresses."
        ),
    ] = ""
    workers: Annotated[
        int, Meta(ge=0, description="Parallel workers for local work; 0: one per core.")
    ] = 0
    host: Annotated[
        str, Meta(description="Address the inference server binds to; loopback unless set.")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(ge=0, le=65535, description="Port of the inference server; 0: a free one."),
    ] = 8421
    replicas: Annotated[
        int, Meta(ge=1, description="Processes of the inference server that share its port.")
    ] = 1
    max_request_bytes: Annotated[
        int, Meta(ge=1, description="Largest request body the inference server reads, in bytes.")
    ] = 64 * 2**20
    max_image_bytes: Annotated[
        int,
        Meta(ge=1, description="Largest decoded image that is read, in bytes; a guard from bombs."),
    ] = 2 * 2**30
    log_level: Annotated[
        str, Meta(pattern="^(debug|info|warning|error)$", description="How much servers log.")
    ] = "info"

    @classmethod
    def load(
        cls, home: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Read the settings of one workspace.

        Args:
            home: the workspace directory; else ``LEPTON_HOME``, else ``~/.lepton``.
            environ: the variables to read.

        Raises:
            InvalidInput: a value has the wrong type or range, or a key does not exist.
        """
        directory = home_of(home, environ)
        values: dict[str, Any] = {}
        file = directory / "lepton.toml"
        if file.is_file():
            try:
                values = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise InvalidInput(f"{file} is not valid TOML: {error}") from error
        names = {field.name for field in structs.fields(cls)}
        values |= {
            name: environ[f"LEPTON_{name.upper()}"]
            for name in names
            if environ.get(f"LEPTON_{name.upper()}")
        }
        try:
            return convert(values | {"home": directory}, cls, strict=False)
        except ValidationError as error:
            raise InvalidInput(
                f"a setting is wrong: {_named(str(error))}; look at the LEPTON_* variables and "
                f"{file} (`lepton settings` lists every setting)"
            ) from error


def _named(said: str) -> str:
    """Call a setting what its user wrote: the key of the file, or the variable."""
    start, found, key = said.partition(" - at `$.")
    key = key.rstrip("`")
    return f"{key} (LEPTON_{key.upper()}): {start}" if found else said


def home_of(
    home: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """Return the workspace directory: the given one, else ``LEPTON_HOME``, else ``~/.lepton``."""
    return Path(home or environ.get("LEPTON_HOME") or "~/.lepton").expanduser().absolute()


def holds_password(url: str) -> bool:
    """Say whether a URL holds a password, so that it must not be shown."""
    return without_password(url) != url


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    # A password may have a slash in it, as those of object stores do.
    return re.sub(r"(://[^@:]*):[^@]*@", r"\1@", url)


def describe() -> dict[str, str]:
    """Return the description of each setting, by name."""
    return {
        field.name: field.type.__metadata__[0].description  # each field is Annotated with a Meta
        for field in structs.fields(Settings)
    }
