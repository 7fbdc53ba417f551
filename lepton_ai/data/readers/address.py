"""Address: a URL taken apart, and what of it may be shown. A leaf."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from lepton_ai.core.errors import InvalidInput

__all__ = ["is_address", "parts_of", "plain", "without_secrets"]


def is_address(source: object) -> bool:
    """Say whether a source is a URL, and no path."""
    return isinstance(source, str) and "://" in source


def parts_of(url: str) -> SplitResult:
    """Take a URL apart.

    Raises:
        InvalidInput: it is none, or a chain of several; the message does not quote it, as it may
            hold a password.
    """
    # Brackets hold hosts such as [::1].
    if "::" in re.sub(r"\[[^]]*\]", "", url):
        raise InvalidInput(
            "addresses that are chained by :: are not read, as they may keep copies of the file "
            "unencrypted; give the file's own address, or save it by hand"
        )
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
    query = [part.rpartition("=")[2] for part in parts.query.split("&")]
    secrets = {word for word in (parts.password, parts.username, parts.query, *query) if word}
    said = " ".join(said.split())
    # The longest first: a part of another is in it.
    for secret in sorted(secrets | {*map(unquote, secrets)}, key=len, reverse=True):
        said = said.replace(secret, "***")
    return said
