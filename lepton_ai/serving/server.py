"""The ASGI application: finds the route, checks the permission, answers, and fails closed."""

import logging
from collections.abc import MutableMapping
from typing import Any

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.ids import new_id
from lepton_ai.security.policy import Permission
from lepton_ai.serving.endpoints import ROUTES
from lepton_ai.serving.gate import Gate
from lepton_ai.serving.messages import (
    Disconnected,
    HttpError,
    Receiver,
    Request,
    Response,
    Sender,
    error_response,
)
from lepton_ai.serving.routes import RouteTable
from lepton_ai.serving.service import Service

__all__ = ["Application"]

logger = logging.getLogger(__name__)


class Application:
    """The inference server as an ASGI application.

    Args:
        service: what is served.
        gate: decides on every request.
        routes: the routing table.
    """

    def __init__(self, service: Service, gate: Gate, routes: RouteTable = ROUTES) -> None:
        self.service = service
        self._gate = gate
        self._routes = routes

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receiver, send: Sender
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the inference server speaks HTTP only, not {scope['type']}")
        request = Request(scope, receive, self.service.intake)
        try:
            response = await self._answer(request)
        except Disconnected:
            return
        except HttpError as error:
            response = _refused(error.status, error, error.headers)
        except InvalidInput as error:
            response = _refused(422, error)
        except Exception:
            request_id = new_id("req")
            logger.exception("request %s failed: %s %s", request_id, request.method, request.path)
            response = error_response(
                500,
                "the server failed; `lepton logs` shows why under this request id",
                request_id,
            )
        finally:
            request.release()
        await response.send(send)

    async def _answer(self, request: Request) -> Response:
        header = request.headers.get(b"authorization")
        try:
            route, request.parameters = self._routes.find(request.method, request.path)
        except HttpError:
            # Who may not read learns nothing of which paths exist.
            self._gate.admit(header, Permission.READ)
            raise
        principal = self._gate.admit(header, route.permission)
        if principal is not None:
            request.principal = principal.name
        return await route.handler(self.service, request)


def _refused(status: int, error: Exception, headers: Any = ()) -> Response:
    return error_response(status, str(error), new_id("req"), headers)
