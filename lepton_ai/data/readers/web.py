"""Web: a file at an address of HTTP, as a stream that ends where the file does."""

import io
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from http.client import responses
from time import monotonic
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult, unquote
from urllib.request import getproxies, proxy_bypass

import urllib3

from lepton_ai.core.errors import AccessDenied, InvalidInput, NotFound, Unavailable
from lepton_ai.data.readers.address import parts_of

__all__ = ["opened"]

# Until a connection stands, and between two pieces of what is sent.
_SECONDS = urllib3.Timeout(connect=10, read=60)
# Asked again when the server says, if that is soon; else at once, after 2 and after 4 seconds. Not
# where the connection fails: urllib3 would warn of that, and quote the query with what is secret.
_RETRIES = urllib3.Retry(
    total=None,
    connect=0,
    read=0,
    other=0,
    redirect=5,
    status=3,
    status_forcelist=(429, 502, 503, 504),
    backoff_factor=1,
    retry_after_max=30,
    raise_on_status=False,
)
# After a minute, what came slower than this on average is given up.
_BYTES_A_SECOND = 1000
_PIECE = 2**18


@contextmanager
def opened(url: str, told: str) -> Iterator[BinaryIO]:
    """Open a file, to be read once; proxies are those that the environment names.

    Args:
        told: the address without what is secret in it, for messages.

    Raises:
        NotFound: there is no such file.
        AccessDenied: it may not be read with these credentials.
        InvalidInput: a page came in place of a file.
        Unavailable: it does not answer, or not to the end.
    """
    parts = parts_of(url)
    headers = {"accept-encoding": "identity", **_user(parts, "authorization")}
    packed = False
    try:
        with _pool(parts) as pool:
            response = pool.request("GET", url, headers=headers, preload_content=False)
            try:
                _check(response, told)
                packed = _is_packed(response, told)
                yield _content(response, told, packed=packed)
            finally:
                response.close()
    except (urllib3.exceptions.HTTPError, EOFError, BadGzipFile, zlib.error) as error:
        if not (packed or isinstance(error, urllib3.exceptions.HTTPError)):
            raise  # it is the file itself that is broken
        cause = getattr(error, "reason", None) or error
        # An address that cannot be parsed is quoted, with what is secret in it.
        quotes = isinstance(cause, urllib3.exceptions.LocationParseError)
        said = "" if quotes else f": {' '.join(str((*cause.args, '')[-2:][0]).split())}"
        raise Unavailable(
            f"{told} does not answer as it should: {type(cause).__name__}{said}; check the "
            "address and the network (HTTPS_PROXY names a proxy), then try again"
        ) from error


def _pool(parts: SplitResult) -> urllib3.PoolManager:
    proxy = getproxies().get(parts.scheme)
    how: dict[str, Any] = {"timeout": _SECONDS, "retries": _RETRIES}
    if not proxy or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(**how)
    headers = _user(parts_of(proxy), "proxy-authorization")
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **how)


def _user(parts: SplitResult, header: str) -> dict[str, str]:
    """Return the header that tells user and password of an address (RFC 7617)."""
    who, separator, _ = parts.netloc.rpartition("@")
    return {header: f"Basic {b64encode(unquote(who).encode()).decode()}"} if separator else {}


def _check(response: urllib3.BaseHTTPResponse, told: str) -> None:
    """Make sure that an answer brings a file, all of it."""
    status = response.status
    if status in (401, 403, 407):
        raise AccessDenied(f"{told} refuses: it answers {status}; check user and password")
    if status in (404, 410):
        raise NotFound(f"there is no file at {told}: it answers {status}")
    if status != 200:
        said = f"{status} {responses.get(status, '')}".strip()
        raise Unavailable(f"{told} answers {said}; try again later, or ask who runs it")
    if response.headers.get("content-type", "").lower().startswith("text/html"):
        raise InvalidInput(
            f"{told} gives a page of HTML in place of a file, perhaps to log in; save the file "
            "by hand and read it from there"
        )


def _is_packed(response: urllib3.BaseHTTPResponse, told: str) -> bool:
    """Say whether an answer is compressed, though it was not asked to be."""
    packed = response.headers.get("content-encoding", "identity").lower()
    if packed not in ("identity", "", "gzip", "x-gzip"):
        raise Unavailable(f"{told} sends {packed!r}, which was not asked for; save it by hand")
    return packed.endswith("gzip")


def _content(response: urllib3.BaseHTTPResponse, told: str, *, packed: bool) -> BinaryIO:
    body = io.BufferedReader(_Body(response, told), _PIECE)
    # Unlike urllib3's own, it misses an end that was cut off.
    return cast("BinaryIO", GzipFile(fileobj=body)) if packed else body


class _Body(io.RawIOBase):
    """What an answer brings, as long as it does not come so slowly that it would never end."""

    def __init__(self, response: urllib3.BaseHTTPResponse, told: str) -> None:
        self._response = response
        self._told = told
        self._begun = monotonic()
        self._came = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._response.read1(len(buffer), decode_content=False)
        self._came += len(piece)
        if monotonic() - self._begun > 60 + self._came / _BYTES_A_SECOND:
            raise Unavailable(
                f"{self._told} sent {self._came} bytes in a minute and is given up; try again later"
            )
        buffer[: len(piece)] = piece
        return len(piece)
