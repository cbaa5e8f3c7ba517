"""Vendors as httpx transports: just enough of Cloudflare and Twilio for the drivers' contract tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx

POOLS = "/client/v4/accounts/acc/load_balancers/pools/"
APPLICATIONS = "/2010-04-01/Accounts/AC1/Applications"


@dataclass
class FakeCloudflare:
    """Pools by id, the requests seen, and the faults to have."""

    pools: dict[str, dict[str, object]]
    seen: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    lose_next_write: bool = False
    down: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else {}
        self.seen.append((request.method, request.url.path, body))
        if self.down:
            raise httpx.ConnectError("refused")
        if self.status is not None:
            refused = {"success": False, "errors": [{"code": 1000, "message": "no"}], "messages": [], "result": None}
            return httpx.Response(self.status, json=refused, headers=self.headers)
        pool = self.pools.get(request.url.path.removeprefix(POOLS))
        if pool is None:
            return httpx.Response(404, json={"success": False, "errors": [], "messages": [], "result": None})
        if request.method == "PATCH":
            pool.update(body)
            if self.lose_next_write:
                self.lose_next_write = False
                raise httpx.ReadTimeout("lost")
        return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": pool})


@dataclass
class FakeTwilio:
    """Applications of one account."""

    applications: dict[str, dict[str, str]] = field(default_factory=dict)
    writes: int = 0
    status: int | None = None
    authorization: set[str] = field(default_factory=set)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.authorization.add(request.headers.get("authorization", ""))
        if self.status is not None:
            return httpx.Response(self.status, json={"code": 20000 + self.status, "message": "no"})
        sid = request.url.path.removeprefix(APPLICATIONS).removesuffix(".json").strip("/")
        if request.method == "GET":
            wanted = request.url.params.get("FriendlyName")
            found = [a for a in self.applications.values() if a["friendly_name"] == wanted]
            return httpx.Response(200, json={"applications": found})
        self.writes += 1
        if request.method == "DELETE":
            del self.applications[sid]
            return httpx.Response(204)
        form = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
        sid = sid or f"AP{len(self.applications)}"
        self.applications[sid] = {
            "sid": sid,
            "friendly_name": form["FriendlyName"],
            "voice_url": form["VoiceUrl"],
            "voice_fallback_url": form["VoiceFallbackUrl"],
        }
        return httpx.Response(201, json=self.applications[sid])
