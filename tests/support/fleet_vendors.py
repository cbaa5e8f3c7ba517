"""A vendor as an httpx transport: just enough of Twilio for the tests of its drivers and of the fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx

APPLICATIONS = "/2010-04-01/Accounts/AC1/Applications"


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
