"""The server with its metadata in PostgreSQL: the same path, once."""

import pytest

from lepton_ai.ml.training import train_classifier
from lepton_ai.serving.deployment import deploy_model
from lepton_ai.serving.process import down, status
from lepton_ai.serving.receipts import receipt
from tests import postgres
from tests.serving.conftest import open_workspace, stop, tumours


@pytest.mark.postgres
def test_deploy_predict_trace_and_stop(tmp_path):
    values, labels = tumours()
    with postgres.server() as server, postgres.database(server) as url:
        workspace = open_workspace(tmp_path / "home", LEPTON_DATABASE_URL=url)
        try:
            for seed in (0, 1):
                train_classifier(
                    (values, labels), name="rows", seed=seed, workspace=workspace, n_estimators=5
                )
            deploy_model("rows:1", workspace=workspace)
            deployed = deploy_model("rows:2", workspace=workspace)
            prediction = deployed.predict(values[0])
            found = receipt(workspace, prediction.id)
            assert prediction.version == found.version == 2
            assert found.output[0]["label"] == prediction.label
            (replica,) = status(workspace).replicas
            assert replica.loaded.serving == {"rows": deployed.id}
            down(workspace)
            # The archiver has moved it, and the replica has taken its row away.
            assert receipt(workspace, prediction.id) == found
            assert list((workspace.home / "serving" / "journal").iterdir()) == []
            assert status(workspace).replicas == []
        finally:
            stop(workspace)
