"""Claims about how a region's entry reads Ingress objects."""

from typing import Any

from holdfast_gameday.lab import entry_config
from holdfast_gameday.lab.entry_config import Listen, Route

LISTEN = Listen(bind="172.30.0.11:443", certificate="/etc/entry.pem", socket="/run/entry.sock")


def ingress(
    *paths: tuple[str, str, str | int], host: str = "fra.voice.example.com", of_class: str = "holdfast-lab"
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "clinic", "name": "front-desk"},
        "spec": {"ingressClassName": of_class, "rules": [{"host": host, "http": {"paths": [
            {"path": path, "pathType": kind, "backend": {"service": {
                "name": "front-desk", "port": {"name": port} if isinstance(port, str) else {"number": port}}}}
            for path, kind, port in paths]}}]},
    }


def service() -> dict[str, Any]:
    return {"metadata": {"namespace": "clinic", "name": "front-desk"},
            "spec": {"ports": [{"name": "control", "port": 80}, {"name": "audio", "port": 81}]}}


def piece(*endpoints: tuple[str, bool]) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "clinic", "name": "x", "labels": {"kubernetes.io/service-name": "front-desk"}},
        "addressType": "IPv4",
        "ports": [{"name": "control", "port": 8080}, {"name": "audio", "port": 8081}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address, ready in endpoints],
    }


def test_only_our_class_is_obeyed() -> None:
    assert entry_config.routes([ingress(("/a", "Prefix", 80), of_class="nginx")], "holdfast-lab") == []


def test_exact_and_longer_paths_come_first() -> None:
    paths = [("/a", "Prefix", 80), ("/a/media", "Prefix", 81), ("/a/x", "Exact", 80)]
    found = entry_config.routes([ingress(*paths)], "holdfast-lab")
    assert [route.path for route in found] == ["/a/x", "/a/media", "/a"]


def test_a_named_host_comes_before_any_host() -> None:
    found = entry_config.routes([ingress(("/a", "Exact", 80), host=""), ingress(("/", "Prefix", 80))], "holdfast-lab")
    assert [route.host for route in found] == ["fra.voice.example.com", ""]


def test_unready_pods_are_left_out() -> None:
    route = Route("h", "/a", False, "clinic", "front-desk", "audio")
    slices = [piece(("10.0.0.2", True), ("10.0.0.3", False))]
    assert entry_config.endpoints(route, [service()], slices) == ["10.0.0.2:8081"]


def test_a_port_number_means_the_services_port_not_the_pods() -> None:
    route = Route("h", "/a", False, "clinic", "front-desk", 80)
    assert entry_config.endpoints(route, [service()], [piece(("10.0.0.2", True))]) == ["10.0.0.2:8080"]


def test_a_missing_service_has_no_endpoints() -> None:
    route = Route("h", "/a", False, "clinic", "gone", 80)
    assert entry_config.endpoints(route, [service()], [piece(("10.0.0.2", True))]) == []


def test_prefix_matches_whole_path_elements_only() -> None:
    text = entry_config.render([Route("h", "/a/x", False, "n", "s", 80)], {}, LISTEN)
    assert "{ path -m str /a/x }" in text
    assert "{ path -m beg /a/x/ }" in text


def test_exact_matches_nothing_below() -> None:
    assert "-m beg" not in entry_config.render([Route("h", "/a/x", True, "n", "s", 80)], {}, LISTEN)


def test_a_backend_without_ready_pods_stays_and_has_no_servers() -> None:
    """HAProxy answers 503 at once for it; without the backend the path would be unknown, which says something else."""
    route = Route("h", "/a/x", True, "n", "s", 80)
    text = entry_config.render([route], {route.backend: []}, LISTEN)
    assert f"backend {route.backend}\n" in text
    assert "server pod-" not in text


def test_the_same_cluster_renders_the_same_text() -> None:
    routes = entry_config.routes([ingress(("/b", "Exact", 80), ("/a", "Exact", 80))], "holdfast-lab")
    backends = {route.backend: ["10.0.0.2:8080"] for route in routes}
    assert entry_config.render(routes, backends, LISTEN) == entry_config.render(list(routes), dict(backends), LISTEN)


def test_an_entry_that_falters_fails_the_share_it_was_told_and_a_sound_one_none() -> None:
    unsteady = Listen(bind="172.30.0.11:443", certificate="/etc/entry.pem", socket="/run/entry.sock", faltering=1.5)
    assert "http-request return status 503 if { rand(100000) lt 1500 }" in entry_config.render([], {}, unsteady)
    assert "rand(" not in entry_config.render([], {}, LISTEN)
