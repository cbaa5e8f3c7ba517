import pytest
from cli_fleet import FakeFleet


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """A kubeconfig's clusters behind a kubectl of our own. Nothing of the real environment shines through."""
    fake = FakeFleet(tmp_path)
    monkeypatch.setenv("PATH", fake.path, prepend=None)
    for name in ("HOLDFAST_CONTEXTS", "HOLDFAST_NAMESPACE", "HOLDFAST_ASCII", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/kubectl-holdfast"])
    return fake
