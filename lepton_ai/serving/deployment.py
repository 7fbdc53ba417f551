"""Deployments: which model shall answer at which endpoint."""

import time
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from lepton_ai.core.errors import Conflict, InvalidInput, LeptonError, NotFound
from lepton_ai.ml.bundle.bundle import Bundle
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.client import Client, Prediction
from lepton_ai.serving.process import EndpointStatus, log_path, logs, status, up
from lepton_ai.serving.reports import Report, reports
from lepton_ai.serving.supervisor import pid_file
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.schema import deployments

__all__ = [
    "DeployFailed",
    "Deployment",
    "NewestDiffers",
    "deploy_model",
    "deployment",
    "undeploy_model",
]

_WAIT_SECONDS = 60.0
_LOG_LINES = 15


class DeployFailed(LeptonError):
    """The server could not serve the model; what was served before still is."""


class NewestDiffers(UserWarning):
    """The newest version of a name predicts something else than the one live, or the champion."""


class Deployment:
    """A model that answers at a URL.

    Attributes:
        name: the endpoint's name.
        url: where to send requests: ``POST`` records or files.
        model: the model's name and version, ``name:version``.
        version: the model's version.
        id: the lineage node of the deployment.
    """

    def __init__(self, workspace: Workspace, node: Node, model: Node, root: str) -> None:
        self.workspace = workspace
        self.node = node
        self.id = node.id
        self.name = node.name
        self.model = model.ref
        self.version = model.version
        self.url = f"{root}/models/{quote(node.name, safe='')}/predict"
        self._client = Client(root, workspace_token(workspace))

    def predict(self, value: Any) -> Prediction | list[Prediction]:
        """Ask the deployed model: see :meth:`lepton_ai.serving.client.Client.predict`."""
        return self._client.predict(self.name, value)

    def explain(self, value: Any, **options: Any) -> Explanation | list[Explanation]:
        """Ask why it answers so: see :meth:`lepton_ai.serving.client.Client.explain`."""
        return self._client.explain(self.name, value, **options)

    def signature(self) -> Signature:
        """Return what the model takes and gives."""
        return self._client.describe(self.name)

    def status(self) -> EndpointStatus:
        """Return whether every replica serves what shall be served here.

        Raises:
            NotFound: the endpoint is gone.
        """
        for endpoint in status(self.workspace).endpoints:
            if endpoint.name == self.name:
                return endpoint
        raise NotFound(f"there is no endpoint {self.name!r} any more")

    def __repr__(self) -> str:
        return f"Deployment({self.model} at {self.url})"


def deploy_model(
    model: Any,
    name: str | None = None,
    *,
    workspace: Workspace | None = None,
    timeout: float = _WAIT_SECONDS,
) -> Deployment:
    """Serve a model, starting the inference server when none runs, and wait until it answers.

    Requests that arrive meanwhile are answered by the model that was there before; none fails.

    Args:
        model: a model, its lineage node, or a reference such as ``lung:3`` or ``lung@champion``;
            a name alone means its newest version. `NewestDiffers` warns where that has another
            task or target than the version that is live, or than the champion.
        name: the endpoint's name; else the model's.
        workspace: where the model is registered; else the model's, else ``Workspace.open()``.
        timeout: seconds to wait for the replicas.

    Raises:
        NotFound: there is no such model.
        InvalidInput: it is something else than a model, or the name cannot stand in a URL.
        StartFailed: the server does not start.
        DeployFailed: a replica could not load the model; the one before it goes on serving.
        Conflict: somebody else deployed to this endpoint meanwhile.
    """
    workspace = workspace or getattr(model, "workspace", None) or Workspace.open()
    node = _model_node(workspace, model)
    endpoint = name or node.name
    if endpoint in (".", "..") or "/" in endpoint or not endpoint.isprintable():
        raise InvalidInput(f"{endpoint!r} cannot be an endpoint's name; use one such as lung-ct")
    if model == node.name:
        _compare(workspace, endpoint, node)
    server = up(workspace, timeout)
    assert server.url is not None
    before, ours = _write(workspace, endpoint, node)
    _wait(workspace, endpoint, ours, before, timeout)
    return Deployment(workspace, ours, node, server.url)


def deployment(name: str, *, workspace: Workspace | None = None) -> Deployment:
    """Return the deployment at an endpoint.

    Raises:
        NotFound: nothing is deployed there.
        Conflict: the server does not run.
    """
    workspace = workspace or Workspace.open()
    server = status(workspace)
    for endpoint in server.endpoints:
        if endpoint.name == name and endpoint.state != "stopped":
            if server.url is None:
                raise Conflict(f"the inference server does not run; `lepton up` serves {name!r}")
            nodes = workspace.lineage.nodes({endpoint.deployment_id, endpoint.model_id})
            return Deployment(
                workspace, nodes[endpoint.deployment_id], nodes[endpoint.model_id], server.url
            )
    names = ", ".join(e.name for e in server.endpoints if e.state != "stopped") or "none yet"
    raise NotFound(f"no model is deployed as {name!r}; deployed: {names}")


def undeploy_model(name: str, *, workspace: Workspace | None = None) -> None:
    """Stop serving at an endpoint; its deployments stay in the lineage.

    Raises:
        NotFound: nothing is deployed there.
    """
    workspace = workspace or Workspace.open()
    with workspace.transaction() as transaction:
        stopped = transaction.execute(
            sa.update(deployments)
            .where(deployments.c.name == name, deployments.c.state != "stopped")
            .values(state="stopped", updated_at=datetime.now(UTC))
        )
        if not stopped.rowcount:
            raise NotFound(f"no model is deployed as {name!r}; `lepton status` lists what is")
    deadline = time.monotonic() + _WAIT_SECONDS
    while any(name in report.loaded.serving for report in reports(workspace)):
        if time.monotonic() > deadline:
            raise DeployFailed(f"{name!r} is still served after {_WAIT_SECONDS:.0f} s")
        time.sleep(0.05)


def _model_node(workspace: Workspace, model: Any) -> Node:
    if isinstance(model, str):
        return workspace.lineage.resolve(model, kinds=["model"])
    node = model if isinstance(model, Node) else getattr(model, "node", None)
    if not isinstance(node, Node) or node.kind != "model":
        raise InvalidInput(
            f"cannot deploy {model!r}; give a model that train_classifier returned, or its name"
        )
    return node


def _compare(workspace: Workspace, endpoint: str, newest: Node) -> None:
    """Warn where the newest version has another task or target than the version before it."""
    with workspace.database.read() as connection:
        live = connection.scalar(
            sa.select(deployments.c.model_id).where(
                deployments.c.name == endpoint, deployments.c.state == "live"
            )
        )
    for reference, place in ((live, "live now"), (f"{newest.name}@champion", "the champion")):
        # What cannot be read, such as the files of a withdrawn model, cannot be compared.
        with suppress(LeptonError):
            other = reference and workspace.lineage.resolve(reference, kinds=["model"])
            if other and _aim(workspace, other) != _aim(workspace, newest):
                warnings.warn(
                    f"{newest.ref}, the newest version, is for {_aim(workspace, newest)}; "
                    f"{other.ref}, {place}, is for {_aim(workspace, other)}. Choose one by "
                    f"`lepton deploy {other.ref}`, or serve both by giving one another --name",
                    NewestDiffers,
                    stacklevel=3,
                )
                return


def _aim(workspace: Workspace, model: Node) -> str:
    description = Bundle(workspace, model).description()
    return f"{description.task} of {description.target}" if description.target else description.task


def _write(workspace: Workspace, endpoint: str, model: Node) -> tuple[sa.Row[Any] | None, Node]:
    """Write the desired state and its node; return the row before and the node."""
    with workspace.transaction() as transaction:
        before = transaction.execute(
            sa.select(deployments).where(deployments.c.name == endpoint)
        ).one_or_none()
        if before is not None and _is_served(workspace, before, model):
            return before, workspace.lineage.get(before.node_id)
        ours = transaction.node(
            "deployment",
            endpoint,
            version=True,
            facts={"endpoint": endpoint, "model": model.ref},
            parents=[(model.id, "model")],
        )
        _upsert(workspace, transaction, endpoint, ours.id, model.id)
    return before, ours


def _is_served(workspace: Workspace, row: sa.Row[Any], model: Node) -> bool:
    if row.model_id != model.id or row.state != "live":
        return False
    return _failure(reports(workspace), row.name, row.node_id) is None


def _upsert(
    workspace: Workspace, transaction: Any, endpoint: str, deployment_id: str, model_id: str
) -> None:
    values = {
        "node_id": deployment_id,
        "model_id": model_id,
        "state": "live",
        "updated_at": datetime.now(UTC),
    }
    insert = workspace.database.insert(deployments).values(name=endpoint, **values)
    transaction.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))


def _wait(
    workspace: Workspace, endpoint: str, ours: Node, before: sa.Row[Any] | None, timeout: float
) -> None:
    """Wait until every replica that lives serves our deployment."""
    deadline = time.monotonic() + timeout
    while True:
        living = reports(workspace)
        reason = _failure(living, endpoint, ours.id)
        if reason is not None:
            _revert(workspace, endpoint, ours, before)
            raise DeployFailed(
                f"{endpoint!r} cannot serve {ours.facts['model']}: {reason}"
                + ("; what was served before still is" if before is not None else "")
            )
        if living and all(r.loaded.serving.get(endpoint) == ours.id for r in living):
            return
        with workspace.database.read() as connection:
            now = connection.scalar(
                sa.select(deployments.c.node_id).where(deployments.c.name == endpoint)
            )
        if not living and not pid_file(workspace.home).held():
            # The server died since it was found running; the next one reads what was written.
            up(workspace, timeout)
        if now != ours.id:
            raise Conflict(f"another deployment to {endpoint!r} took the place of {ours.ref}")
        if time.monotonic() > deadline:
            tail = "\n".join(logs(workspace, _LOG_LINES))
            raise DeployFailed(
                f"{endpoint!r} does not serve {ours.facts['model']} after {timeout:.0f} s; the "
                f"server's log, {log_path(workspace)}, ends with:\n{tail}"
            )
        time.sleep(0.05)


def _failure(living: list[Report], endpoint: str, deployment_id: str) -> str | None:
    for report in living:
        failure = report.loaded.failed.get(endpoint)
        if failure is not None and failure.deployment_id == deployment_id:
            return failure.reason
    return None


def _revert(workspace: Workspace, endpoint: str, ours: Node, before: sa.Row[Any] | None) -> None:
    """Put the desired state back, so that a restart serves what worked."""
    values: dict[str, Any] = {"state": "stopped", "updated_at": datetime.now(UTC)}
    if before is not None and before.node_id != ours.id:
        values |= {
            "node_id": before.node_id,
            "model_id": before.model_id,
            "state": before.state,
        }
    with workspace.transaction() as transaction:
        transaction.execute(
            sa.update(deployments)
            .where(deployments.c.name == endpoint, deployments.c.node_id == ours.id)
            .values(**values)
        )
