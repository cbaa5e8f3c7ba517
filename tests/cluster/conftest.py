import gc
import warnings

import apiserver
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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown():
    """kopf leaves its sockets to the garbage collector, whose warnings would fall on whatever test runs then."""
    done = yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return done
