import pytest


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of small networks only wait for each other."""
    monkeypatch.setenv("LEPTON_WORKERS", "1")
