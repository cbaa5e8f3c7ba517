import cli_picture
import pytest
from cli_fleet import FakeFleet

from holdfast.cli.app import main


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """A kubeconfig's clusters behind a kubectl of our own. Nothing of the real environment shines through."""
    fake = FakeFleet(tmp_path)
    monkeypatch.setenv("PATH", fake.path, prepend=None)
    for name in ("HOLDFAST_CONTEXTS", "HOLDFAST_NAMESPACE", "HOLDFAST_ASCII", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/kubectl-holdfast"])
    return fake


@pytest.fixture
def sound(fleet):
    """A fleet in which nothing is wrong."""
    return cli_picture.sound(fleet)


@pytest.fixture
def run(fleet, capsys):
    """Run the plugin; the status, what was printed, and what was said besides."""

    def ran(*words: str) -> tuple[int, str, str]:
        status = main(list(words))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return ran
