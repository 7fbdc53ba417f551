"""Remote: the bytes of a file at an address that fsspec knows."""

from urllib.parse import urlsplit

import fsspec

from lepton_ai.core.errors import AccessDenied, InvalidInput, MissingExtra, NotFound, Unavailable

__all__ = ["fetch"]

# Of an extra for each kind of address; others need a library of their own.
_EXTRAS = {"http": "http", "https": "http", "s3": "s3"}


def fetch(url: str) -> bytes:
    """Return the content of a file at an address, with credentials from the environment.

    Raises:
        NotFound: there is no such file.
        AccessDenied: it may not be read with these credentials.
        InvalidInput: the address is of no known kind.
        MissingExtra: the library for this kind of address is not installed.
        Unavailable: it does not answer.
    """
    scheme = urlsplit(url).scheme
    try:
        filesystem, path = fsspec.url_to_fs(url)
        data: bytes = filesystem.cat_file(path)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file at {url}") from error
    except PermissionError as error:
        raise AccessDenied(f"{url} may not be read with these credentials: {error}") from error
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f"pip install 'lepton-ai[{extra}]'" if extra else f"install it: {error}"
        raise MissingExtra(f"{url} needs a library: {advice}") from error
    except ValueError as error:
        raise InvalidInput(f"{url} is no address that is known: {error}") from error
    except Exception as error:  # each kind of address has errors of its own
        if getattr(error, "status", None) in (401, 403):
            raise AccessDenied(f"{url} refuses: {error}") from error
        raise Unavailable(f"{url} does not answer: {type(error).__name__}: {error}") from error
    return data
