"""Turns a cluster's Ingress objects into the configuration of its entry: pure, no sockets, no clock.

It obeys host, path (Exact, Prefix), Service and port; it refuses to know TLS Secrets, annotations and default backends.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One path of one Ingress. `host` is empty for every host."""

    host: str
    path: str
    exact: bool
    namespace: str
    service: str
    port: str | int

    @property
    def backend(self) -> str:
        mark = hashlib.sha256(f"{self.namespace}/{self.service}/{self.port}".encode()).hexdigest()[:8]
        return f"{self.namespace}_{self.service}_{mark}"


@dataclass(slots=True)
class Listen:
    """Where the entry listens, where it leaves its files, and how unreliable it is to be."""

    bind: str
    certificate: str
    socket: str
    faltering: float = 0.0
    """This percentage of all requests is answered 503, by chance."""


def routes(ingresses: Iterable[Json], ingress_class: str) -> list[Route]:
    """Most specific first: a named host before any host, exact before prefix, long before short."""
    found = set()
    for ingress in ingresses:
        spec = ingress.get("spec", {})
        if spec.get("ingressClassName") != ingress_class:
            continue
        for rule in spec.get("rules") or []:
            for path in (rule.get("http") or {}).get("paths") or []:
                service = path.get("backend", {}).get("service")
                if not service:
                    continue
                port = service.get("port", {})
                found.add(Route(
                    host=rule.get("host", "").lower(), path=path.get("path") or "/",
                    exact=path.get("pathType") == "Exact", namespace=ingress["metadata"]["namespace"],
                    service=service["name"], port=port.get("name") or port.get("number", 0),
                ))
    return sorted(found, key=lambda route: (not route.host, not route.exact, -len(route.path), route))


def endpoints(route: Route, services: Iterable[Json], slices: Iterable[Json]) -> list[str]:
    """The addresses of the ready pods behind a route, in a fixed order."""
    service = next((each for each in services if _is(each, route.namespace, route.service)), None)
    if service is None:
        return []
    port = next((each for each in service["spec"].get("ports") or []
                 if route.port in (each.get("name"), each.get("port"))), None)
    if port is None:
        return []
    found: set[str] = set()
    for piece in slices:
        if piece["metadata"]["namespace"] != route.namespace or piece.get("addressType") != "IPv4":
            continue
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != route.service:
            continue
        numbers = [each["port"] for each in piece.get("ports") or []
                   if (each.get("name") or "") == (port.get("name") or "")]
        for endpoint in piece.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            found.update(f"{address}:{number}" for address in endpoint.get("addresses") or [] for number in numbers)
    return sorted(found)


def _is(thing: Json, namespace: str, name: str) -> bool:
    return bool(thing["metadata"]["namespace"] == namespace and thing["metadata"]["name"] == name)


def render(wanted: Iterable[Route], backends: Mapping[str, list[str]], listen: Listen) -> str:
    """The whole configuration. A backend without servers answers 503 at once; an unknown path answers 404."""
    wanted = list(wanted)
    lines = [HEAD.format(bind=listen.bind, certificate=listen.certificate, socket=listen.socket, log_format=LOG_FORMAT)]
    if listen.faltering:
        lines.append(f"    http-request return status 503 if {{ rand(100000) lt {round(listen.faltering * 1000)} }}")
    lines += [f"    use_backend {route.backend} if {_condition(route)}" for route in wanted]
    lines += ["    default_backend nothing", "", "backend nothing",
              '    http-request return status 404 content-type text/plain string "no such path\\n"']
    for name in sorted({route.backend for route in wanted}):
        lines += ["", f"backend {name}"]
        lines += [f"    server pod-{address.replace('.', '-').replace(':', '-')} {address}"
                  for address in backends.get(name, [])]
    return "\n".join(lines) + "\n"


def _condition(route: Route) -> str:
    host = f"{{ req.hdr(host),field(1,:),lower -m str {route.host} }} " if route.host else ""
    same = f"{host}{{ path -m str {route.path} }}"
    if route.exact:
        return same
    below = route.path.rstrip("/") + "/"
    return f"{same} or {host}{{ path -m beg {below} }}"


HEAD = """\
global
    log stdout format raw local0
    stats socket {socket} mode 600 level admin expose-fd listeners
    maxconn 8000
    tune.ssl.default-dh-param 2048

defaults
    mode http
    log global
    option http-keep-alive
    option logasap
    option redispatch 1
    http-reuse never
    retries 3
    timeout http-request 10s
    timeout connect 1s
    timeout queue 1s
    timeout client 75s
    timeout server 75s
    timeout client-fin 10s
    timeout server-fin 10s
    timeout tunnel 2h

frontend entry
    bind {bind} ssl crt {certificate} alpn http/1.1
    http-request capture req.hdr(host) len 100
    http-request del-header X-Forwarded-For
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    log-format '{log_format}'"""
LOG_FORMAT = (
    '{"time":%Ts.%ms,"source":"%ci","host":"%{+E}[capture.req.hdr(0)]","method":"%HM","path":"%{+E}HPO","status":%ST,'
    '"backend":"%b","server":"%s"}'
)
