"""The routing table: method and path to handler, with the permission that each one needs.

A route without a permission cannot be written down: the field has no default.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from lepton_ai.security.policy import Permission
from lepton_ai.serving.messages import HttpError, Request, Response

__all__ = ["Route", "RouteTable"]

Handler = Callable[[Any, Request], Awaitable[Response]]


class Route(Struct, frozen=True):
    """One row of the table.

    ``path`` is a template such as ``/models/{name}/predict``; a public route asks for no
    token.
    """

    method: str
    path: str
    permission: Permission
    handler: Handler
    summary: str


class RouteTable:
    """Finds the row of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        for route in self.routes:
            segments = tuple(route.path.split("/"))
            rows = self._by_length.setdefault(len(segments), [])
            methods = next((methods for known, methods in rows if known == segments), None)
            if methods is None:
                methods = {}
                rows.append((segments, methods))
            methods[route.method] = route
        for rows in self._by_length.values():
            # Fixed words go before parameters, whatever the order of the table.
            rows.sort(key=lambda row: [segment[:1] == "{" for segment in row[0]])
        # Few paths get nearly all requests. What is kept of the others is bounded.
        self.find = lru_cache(maxsize=128)(self._find)

    def _find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Return the route and the values of the path's parameters.

        Raises:
            HttpError: 404 for a path that no row has, 405 for a method it does not take.
        """
        segments = path.split("/")
        for template, methods in self._by_length.get(len(segments), ()):
            parameters = _match(template, segments)
            if parameters is None:
                continue
            route = methods.get("GET" if method == "HEAD" else method)
            if route is None:
                allowed = ", ".join(sorted(methods))
                raise HttpError(
                    405,
                    f"{path} takes {allowed}, not {method}",
                    [(b"allow", allowed.encode())],
                )
            return route, MappingProxyType(parameters)
        raise HttpError(404, f"there is nothing at {path}; GET / lists what there is")


def _match(template: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    parameters = {}
    for expected, given in zip(template, segments, strict=True):
        if expected[:1] == "{" and given:
            parameters[expected[1:-1]] = given
        elif expected != given:
            return None
    return parameters
