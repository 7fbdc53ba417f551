"""Remote: files at addresses that fsspec knows, as streams."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO

import fsspec

from lepton_ai.core.errors import (
    AccessDenied,
    InvalidInput,
    LeptonError,
    MissingExtra,
    NotFound,
    Unavailable,
)
from lepton_ai.data.readers import web
from lepton_ai.data.readers.address import parts_of, plain, without_secrets

__all__ = ["opened"]

# Of an extra for each kind of address; others need a library of their own.
_EXTRAS = {"s3": "s3"}
# How each kind is read from the beginning to the end.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"block_size": 8 * 2**20, "cache_type": "readahead"},
}


def opened(url: str) -> AbstractContextManager[BinaryIO]:
    """Open a file at an address, with credentials from the environment, to be read once.

    Raises:
        NotFound: there is no such file.
        AccessDenied: it may not be read with these credentials.
        InvalidInput: the address is of no known kind.
        MissingExtra: the library for this kind of address is not installed.
        Unavailable: it does not answer, or not to the end.
    """
    told = plain(url)
    if parts_of(url).scheme in ("http", "https"):
        return web.opened(url, told)
    return _opened(url, told)


@contextmanager
def _opened(url: str, told: str) -> Iterator[BinaryIO]:
    scheme = parts_of(url).scheme
    try:
        filesystem, path = fsspec.url_to_fs(url)
        with filesystem.open(path, "rb", **_OPTIONS.get(scheme, {})) as file:
            yield file
    except LeptonError:
        raise
    except PermissionError as error:
        said = without_secrets(str(error), url)
        raise AccessDenied(f"{told} may not be read with these credentials: {said}") from error
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f"pip install 'lepton-ai[{extra}]'" if extra else f"install it: {error}"
        raise MissingExtra(f"{told} needs a library: {advice}") from error
    except ValueError as error:
        said = without_secrets(str(error), url)
        raise InvalidInput(f"{told} is no address that is known: {said}") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"there is no file at {told}") from error
    except Exception as error:  # each kind of address has errors of its own
        said = without_secrets(str(error), url)
        raise Unavailable(
            f"{told} does not answer as it should: {type(error).__name__}: {said}; check the "
            "address, the network and the credentials, then try again"
        ) from error
