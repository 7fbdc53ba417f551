"""The routing table: every route declares a permission, and the right row is found."""

import asyncio

import pytest

from lepton_ai.security.policy import Permission
from lepton_ai.serving.endpoints import ROUTES
from lepton_ai.serving.messages import HttpError
from lepton_ai.serving.routes import Route, RouteTable

PUBLIC = {("GET", "/v2/health/live"), ("GET", "/v2/health/ready")}


async def handler(service, request):
    raise AssertionError("not called")


def test_every_route_declares_a_permission_and_only_the_probes_are_public():
    for route in ROUTES.routes:
        assert isinstance(route.permission, Permission), route
        is_public = (route.method, route.path) in PUBLIC
        assert (route.permission is Permission.PUBLIC) == is_public, route
        if route.method == "POST":
            assert route.permission is Permission.PREDICT, route
        assert asyncio.iscoroutinefunction(route.handler)
        assert route.summary


def test_a_route_without_a_permission_cannot_be_made():
    with pytest.raises(TypeError, match="permission"):
        Route(method="GET", path="/x", handler=handler, summary="no permission")


def test_parameters_and_fixed_words():
    table = RouteTable(
        [
            Route("GET", "/models/{name}", Permission.READ, handler, "any"),
            Route("GET", "/models/all", Permission.READ, handler, "fixed"),
            Route("POST", "/models/{name}/versions/{v}", Permission.READ, handler, "two"),
        ]
    )
    assert table.find("GET", "/models/lung ct")[1] == {"name": "lung ct"}
    assert table.find("GET", "/models/all")[0].summary == "fixed"
    assert table.find("HEAD", "/models/all")[0].summary == "fixed"
    assert table.find("POST", "/models/a/versions/2")[1] == {"name": "a", "v": "2"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "//", 404),
        ("GET", "/models//predict", 404),
        ("POST", "/models/a/b/predict", 404),
        ("POST", "/models/../predict/", 404),
        ("GET", "/models/a/predict", 405),
        ("DELETE", "/models", 405),
        ("POST", "/", 405),
    ],
)
def test_other_paths_and_methods_are_refused(method, path, status):
    with pytest.raises(HttpError) as refused:
        ROUTES.find(method, path)
    assert refused.value.status == status
    if status == 405:
        assert dict(refused.value.headers)[b"allow"] in (b"GET", b"POST")
