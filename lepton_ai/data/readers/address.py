"""Address: a URL taken apart, and what of it may be shown. A leaf."""

from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from lepton_ai.core.errors import InvalidInput

__all__ = ["is_address", "parts_of", "plain", "without_secrets"]


def is_address(source: object) -> bool:
    """Say whether a source is a URL, and no path."""
    return isinstance(source, str) and "://" in source


def parts_of(url: str) -> SplitResult:
    """Take a URL apart.

    Raises:
        InvalidInput: it is none; the message does not quote it, as it may hold a password.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InvalidInput(
            f"the address cannot be read: {error}; write it as https://host/rows.csv"
        ) from error


def plain(url: str) -> str:
    """Return a URL without what may be secret in it: user, password, query."""
    parts = parts_of(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{unquote(parts.path)}"


def without_secrets(said: str, url: str) -> str:
    """Return an error's words on one line, without what is secret in the URL."""
    parts = parts_of(url)
    query = [value for _, value in parse_qsl(parts.query)]
    said = " ".join(said.split())
    for secret in filter(None, (parts.password, parts.username, *query)):
        said = said.replace(secret, "***").replace(unquote(secret), "***")
    return said
