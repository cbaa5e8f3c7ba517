"""What Cloudflare holds of tunnels, and the cloudflareds that run them: documents by version, connections, their past.

A connector takes a newer document up `pickup_s` after it was written, and at once when it connects. A lost connection
is listed as pending for `tracked_s`; one that was deleted comes back after `reconnect_s`, unless the secret is another
by then. Everything follows from the clock: nothing runs. It knows neither HTTP nor tokens.
"""

from __future__ import annotations

import base64
import binascii
import copy
import datetime as dt
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast_gameday.world.cloudflare_state import Object, Rejected

CONNECTIONS = 4
SECRET_OCTETS_MIN = 32
NAMES = uuid.UUID("6f1f7b4e-6f64-4c5f-8d0c-0a4f1f2f0b57")
CATCH_ALL = "Bad Configuration: Validation failed: The last ingress rule must match all URLs"


@dataclass(frozen=True, slots=True)
class Version:
    """One document. `by` names the token that wrote it."""

    number: int
    monotonic: float
    config: Mapping[str, Any]
    by: str


@dataclass(slots=True)
class Connector:
    """One cloudflared. It answers nothing while it is lost or kicked; `stuck` keeps it at its version.

    `bare`: it reports version -1, as one does that has no document yet or goes by a file of its own.
    `barred`: it is to connect again, and its secret is no longer the tunnel's.
    """

    id: str
    colo: str
    run_at: str
    secret: int
    lost_at: float | None = None
    back_at: float = float("-inf")
    barred: bool = False
    bare: bool = False
    stuck: int | None = None


@dataclass(slots=True)
class _Tunnel:
    id: str
    name: str
    source: str
    created_at: str
    versions: list[Version]
    secret: int = 0
    connectors: dict[str, Connector] = field(default_factory=dict)
    ever_ran: bool = False


class Tunnels:
    """The tunnels of one account."""

    def __init__(
        self,
        *,
        account: str = "acc-practice",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        pickup_s: float = 0.0,
        reconnect_s: float = 3.0,
        tracked_s: float = 300.0,
    ) -> None:
        self.account = account
        self.clock = clock
        self.monotonic = monotonic
        self.pickup_s = pickup_s
        self._reconnect_s = reconnect_s
        self._tracked_s = tracked_s
        self._tunnels: dict[str, _Tunnel] = {}

    def add(self, name: str, ingress: list[Object], *, source: str = "cloudflare", **more: Any) -> str:
        """A tunnel with this document; `more` are its other members. Its id is the same in every run."""
        tunnel_id = str(uuid.uuid5(NAMES, name))
        first = Version(1, self.monotonic(), copy.deepcopy({"ingress": ingress, **more}), by="")
        self._tunnels[tunnel_id] = _Tunnel(tunnel_id, name, source, self._now(), [first])
        return tunnel_id

    def run(self, tunnel_id: str, *, colo: str = "FRA") -> str:
        """Start a cloudflared with the tunnel's present token. Returns the connector's id."""
        tunnel = self._tunnel(tunnel_id)
        connector_id = str(uuid.uuid5(NAMES, f"{tunnel_id}/{len(tunnel.connectors)}"))
        tunnel.connectors[connector_id] = Connector(connector_id, colo, self._now(), tunnel.secret)
        tunnel.ever_ran = True
        return connector_id

    def connector(self, tunnel_id: str, connector_id: str) -> Connector:
        return self._tunnel(tunnel_id).connectors[connector_id]

    def lose(self, tunnel_id: str, connector_id: str) -> None:
        """Its connections break: Cloudflare goes on listing them for minutes."""
        self.connector(tunnel_id, connector_id).lost_at = self.monotonic()

    def regain(self, tunnel_id: str, connector_id: str) -> None:
        self.connector(tunnel_id, connector_id).lost_at = None

    def stop(self, tunnel_id: str, connector_id: str) -> None:
        """SIGTERM: it unregisters at once and does not come back."""
        del self._tunnel(tunnel_id).connectors[connector_id]

    def stick(self, tunnel_id: str, connector_id: str) -> None:
        """It takes up no newer document than it runs now."""
        tunnel = self._tunnel(tunnel_id)
        connector = tunnel.connectors[connector_id]
        connector.stuck = self._runs(tunnel, connector).number

    def history(self, tunnel_id: str) -> list[Version]:
        return list(self._tunnel(tunnel_id).versions)

    def ids(self) -> list[str]:
        return list(self._tunnels)

    def shown(self, tunnel_id: str) -> Object:
        tunnel = self._tunnel(tunnel_id)
        connected = [each for each in tunnel.connectors.values() if self._connected(each)]
        status = "healthy" if connected else "down" if tunnel.ever_ran else "inactive"
        return {
            "id": tunnel.id, "name": tunnel.name, "account_tag": self.account, "created_at": tunnel.created_at,
            "status": status, "tun_type": "cfd_tunnel", "remote_config": tunnel.source == "cloudflare",
            "config_src": tunnel.source, "metadata": {},
            "connections": [conn for client in self.clients(tunnel_id) for conn in client["conns"]],
        }  # fmt: skip

    def configuration(self, tunnel_id: str, *, at: float | None = None) -> Object:
        """The newest document, or the one that was it then."""
        tunnel = self._tunnel(tunnel_id)
        version = self._newest(tunnel, at)
        return {
            "account_id": self.account, "tunnel_id": tunnel.id, "version": version.number,
            "config": copy.deepcopy(dict(version.config)), "source": tunnel.source, "created_at": tunnel.created_at,
        }  # fmt: skip

    def configure(self, tunnel_id: str, body: object, *, by: str) -> Object:
        """The whole document is replaced."""
        tunnel = self._tunnel(tunnel_id)
        config = body.get("config") if isinstance(body, dict) else None
        if not isinstance(config, dict):
            raise Rejected(400, 1002, "validation failed: expected a config")
        _check(config.get("ingress"))
        number = tunnel.versions[-1].number + 1
        tunnel.versions.append(Version(number, self.monotonic(), copy.deepcopy(config), by))
        return self.configuration(tunnel_id)

    def change(self, tunnel_id: str, body: object) -> Object:
        """Another name, or another secret: connections that stand are kept, new ones need the new token."""
        tunnel = self._tunnel(tunnel_id)
        if not isinstance(body, dict):
            raise Rejected(400, 1002, "validation failed: expected an object")
        if "tunnel_secret" in body:
            if len(_octets(body["tunnel_secret"])) < SECRET_OCTETS_MIN:
                raise Rejected(400, 1002, "validation failed: tunnel_secret must be at least 32 octets in base64")
            tunnel.secret += 1
            for connector in tunnel.connectors.values():
                connector.barred = connector.barred or not self._connected(connector)
        tunnel.name = str(body.get("name", tunnel.name))
        return self.shown(tunnel_id)

    def clients(self, tunnel_id: str) -> list[Object]:
        """The connectors that are listed, with their connections; those that are long gone are not."""
        tunnel = self._tunnel(tunnel_id)
        return [self._client(tunnel, each) for each in tunnel.connectors.values() if self._listed(each)]

    def kick(self, tunnel_id: str, connector_id: str | None) -> None:
        """Connections end; a cloudflared that lives and knows the secret connects again."""
        tunnel = self._tunnel(tunnel_id)
        for connector in tunnel.connectors.values():
            if connector_id in (None, connector.id):
                connector.back_at = self.monotonic() + self._reconnect_s
                connector.barred = connector.secret != tunnel.secret
                if connector.lost_at is not None:
                    connector.lost_at = self.monotonic() - self._tracked_s

    def service(self, tunnel_id: str, host: str, path: str) -> str | None:
        """Who answers a request that comes now: the service of the first rule that matches it; None: no connector."""
        tunnel = self._tunnel(tunnel_id)
        for connector in tunnel.connectors.values():
            if self._connected(connector):
                rules = self._runs(tunnel, connector).config["ingress"]
                return next(str(rule["service"]) for rule in rules if _matches(rule, host, path))
        return None

    def _tunnel(self, tunnel_id: str) -> _Tunnel:
        found = self._tunnels.get(tunnel_id)
        if found is None:
            raise Rejected(404, 1003, "tunnel not found")
        return found

    def _connected(self, connector: Connector) -> bool:
        return connector.lost_at is None and not connector.barred and self.monotonic() >= connector.back_at

    def _listed(self, connector: Connector) -> bool:
        pending = connector.lost_at is not None and self.monotonic() - connector.lost_at < self._tracked_s
        return pending or self._connected(connector)

    def _runs(self, tunnel: _Tunnel, connector: Connector) -> Version:
        """The document that a connector has taken up. One that is lost hears of nothing new."""
        heard_at = self.monotonic() if connector.lost_at is None else connector.lost_at
        version = self._newest(tunnel, heard_at - self.pickup_s)
        if connector.stuck is not None and version.number > connector.stuck:
            return next(each for each in tunnel.versions if each.number == connector.stuck)
        return version

    def _newest(self, tunnel: _Tunnel, at: float | None) -> Version:
        if at is None:
            return tunnel.versions[-1]
        return next((each for each in reversed(tunnel.versions) if each.monotonic <= at), tunnel.versions[0])

    def _client(self, tunnel: _Tunnel, connector: Connector) -> Object:
        conns = [
            {
                "id": str(uuid.uuid5(NAMES, f"{connector.id}/{n}")),
                "uuid": str(uuid.uuid5(NAMES, f"{connector.id}/{n}")),
                "client_id": connector.id, "client_version": "2026.8.0", "colo_name": connector.colo,
                "is_pending_reconnect": connector.lost_at is not None, "opened_at": connector.run_at,
                "origin_ip": "192.0.2.7",
            }
            for n in range(CONNECTIONS)
        ]  # fmt: skip
        return {
            "id": connector.id, "arch": "linux_amd64", "version": "2026.8.0", "features": ["ha-origin"],
            "run_at": connector.run_at, "conns": conns,
            "config_version": -1 if connector.bare else self._runs(tunnel, connector).number,
        }  # fmt: skip

    def _now(self) -> str:
        return dt.datetime.fromtimestamp(self.clock(), dt.UTC).isoformat().replace("+00:00", "Z")


def _check(rules: object) -> None:
    """As cloudflared checks a document: the last rule and only that one catches everything."""
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        raise Rejected(400, 1056, "Bad Configuration: no ingress rules")
    for n, rule in enumerate(rules):
        hostname, service = rule.get("hostname") or "", rule.get("service")
        if not isinstance(service, str) or not service:
            raise Rejected(400, 1056, f"Bad Configuration: rule {n + 1} has no service")
        if ":" in hostname or hostname.rfind("*") > 0:
            raise Rejected(400, 1056, f"Bad Configuration: rule {n + 1} has a bad hostname")
        catches_all = hostname in ("", "*") and not rule.get("path")
        if catches_all is not (n == len(rules) - 1):
            raise Rejected(400, 1056, CATCH_ALL)


def _matches(rule: Mapping[str, Any], host: str, path: str) -> bool:
    hostname = rule.get("hostname") or "*"
    named = hostname in ("*", host) or (hostname.startswith("*.") and host.endswith(hostname[2:]))
    return bool(named and re.search(rule.get("path") or "", path))


def _octets(secret: object) -> bytes:
    try:
        return base64.b64decode(str(secret), validate=True)
    except binascii.Error:
        return b""
