"""Remote: files at addresses that fsspec knows, as streams."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import fsspec

from lepton_ai.core.errors import (
    AccessDenied,
    InvalidInput,
    LeptonError,
    MissingExtra,
    NotFound,
    Unavailable,
)

__all__ = ["opened", "plain"]

# Of an extra for each kind of address; others need a library of their own.
_EXTRAS = {"http": "http", "https": "http", "s3": "s3"}
# How each kind is read from the beginning to the end; many servers of HTTP know no other way.
_OPTIONS: dict[str, dict[str, Any]] = {
    "http": {"block_size": 0},
    "https": {"block_size": 0},
    "s3": {"block_size": 8 * 2**20, "cache_type": "readahead"},
}


@contextmanager
def opened(url: str) -> Iterator[BinaryIO]:
    """Open a file at an address, with credentials from the environment, to be read once.

    Raises:
        NotFound: there is no such file.
        AccessDenied: it may not be read with these credentials.
        InvalidInput: the address is of no known kind.
        MissingExtra: the library for this kind of address is not installed.
        Unavailable: it does not answer, or not to the end.
    """
    scheme = urlsplit(url).scheme
    told = plain(url)
    try:
        filesystem, path = fsspec.url_to_fs(url)
        with filesystem.open(path, "rb", **_OPTIONS.get(scheme, {})) as file:
            yield file
    except LeptonError:
        raise
    except PermissionError as error:
        raise AccessDenied(f"{told} may not be read with these credentials: {error}") from error
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f"pip install 'lepton-ai[{extra}]'" if extra else f"install it: {error}"
        raise MissingExtra(f"{told} needs a library: {advice}") from error
    except ValueError as error:
        raise InvalidInput(f"{told} is no address that is known: {error}") from error
    except Exception as error:  # each kind of address has errors of its own
        # The one of HTTP calls whatever fails a file that is not found.
        cause = (error.__cause__ if isinstance(error, FileNotFoundError) else None) or error
        status = getattr(cause, "status", None)
        if status in (401, 403):
            raise AccessDenied(f"{told} refuses: it answers {status}") from error
        if status == 404 or isinstance(cause, FileNotFoundError | IsADirectoryError):
            raise NotFound(f"there is no file at {told}") from error
        # An answer's error quotes the whole address, with what is secret in it.
        said = f"with status {status}" if status is not None else str(cause)
        raise Unavailable(f"{told} does not answer: {type(cause).__name__}: {said}") from error


def plain(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{unquote(parts.path)}"
