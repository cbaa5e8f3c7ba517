import gc
import warnings
from pathlib import Path

import apiserver
import chart
import pytest


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    """One real kube-apiserver for all cluster tests, with our CRDs in it."""
    if not apiserver.available():
        pytest.skip("no kube-apiserver, etcd and kubectl: run `make tools`")
    with apiserver.running(tmp_path_factory.mktemp("apiserver")) as server:
        done = server.kubectl("apply", "-f", "crds")
        assert done.returncode == 0, done.stderr
        waited = server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        assert waited.returncode == 0, waited.stderr
        for namespace in ("clinic", "dental", "holdfast-system"):
            server.kubectl("create", "namespace", namespace)
        yield server


@pytest.fixture(scope="session")
def token_file(api, tmp_path_factory) -> Path:
    """A token of the chart's own ServiceAccount: what its roles do not allow fails here."""
    if not chart.available():
        pytest.skip("no helm: run `make tools`")
    wanted = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    applied = api.apply(*(each for (kind, _), each in chart.rendered().items() if kind in wanted))
    assert applied.returncode == 0, applied.stderr
    created = api.kubectl("create", "token", "holdfast-operator", "-n", "holdfast-system")
    assert created.returncode == 0, created.stderr
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(created.stdout.strip())
    return path


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown():
    """kopf leaves its sockets to the garbage collector, whose warnings would fall on whatever test runs then."""
    done = yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return done
