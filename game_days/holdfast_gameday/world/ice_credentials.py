"""The simulated issuers of TURN credentials: Cloudflare's generate-ice-servers and Twilio's Tokens.

What they issue is of coturn's REST form under one secret, so that a coturn of the practice range takes it and refuses
it once it is over. The addresses they send along are the vendors' own and lead nowhere here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal

from aiohttp import web

from holdfast_gameday.world import serve

CLOUDFLARE_TTL_MAX_S = 48 * 3600
TWILIO_TTL_S = 86_400
CLOUDFLARE_URLS = (
    "turn:turn.cloudflare.com:3478?transport=udp",
    "turn:turn.cloudflare.com:3478?transport=tcp",
    "turns:turn.cloudflare.com:5349?transport=tcp",
)
TWILIO_URLS = (
    "turn:global.turn.twilio.com:3478?transport=udp",
    "turn:global.turn.twilio.com:3478?transport=tcp",
    "turn:global.turn.twilio.com:443?transport=tcp",
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who may ask: one TURN key of Cloudflare's, and one account of Twilio's."""

    key_id: str = "0123456789abcdef0123456789abcdef"
    key_token: str = "turn-key-token"  # noqa: S105 - a simulated one
    account_sid: str = "AC" + "a" * 32
    user: str = "SK" + "b" * 32
    secret: str = "nts-secret"  # noqa: S105 - a simulated one


@dataclass(frozen=True, slots=True)
class Fault:
    """status: answer this, without issuing. silent: never answer. garbage: 201 with something else in it."""

    kind: Literal["status", "silent", "garbage"]
    status: int = 503
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """One credential that was handed out."""

    vendor: str
    username: str
    ttl_s: int


class IceCredentials:
    """Both issuers on one address. `wall` is the clock by which what they issue ends."""

    def __init__(self, *, secret: str, wall: Callable[[], float], account: Account | None = None) -> None:
        self.account = account or Account()
        self.issued: list[Issued] = []
        self.requests = 0
        self.fault: Fault | None = None
        self._secret = secret
        self._wall = wall

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[serve.Address]:
        application = web.Application(middlewares=[self._with_faults])
        application.add_routes([
            web.post("/v1/turn/keys/{key}/credentials/generate-ice-servers", self._cloudflare),
            web.post("/2010-04-01/Accounts/{account}/Tokens.json", self._twilio),
        ])  # fmt: skip
        async with serve.serving(application, host, port, ssl_context=ssl_context) as address:
            yield address

    @web.middleware
    async def _with_faults(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests += 1
        if self.fault is None:
            return await handler(request)
        if self.fault.kind == "silent":
            await asyncio.Event().wait()
        if self.fault.kind == "garbage":
            return web.Response(status=201, text='["not", "what", "you", "asked"]', content_type="application/json")
        headers = {"Retry-After": self.fault.retry_after} if self.fault.retry_after else {}
        return web.json_response({"message": "on demand"}, status=self.fault.status, headers=headers)

    async def _cloudflare(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.account.key_token}":
            return web.Response(status=401)
        if request.match_info["key"] != self.account.key_id:
            return web.Response(status=404)
        try:
            ttl_s = int(json.loads(await request.read())["ttl"])
        except (ValueError, KeyError, TypeError):
            return web.Response(status=400)
        if not 0 < ttl_s <= CLOUDFLARE_TTL_MAX_S:
            return web.Response(status=400)
        username, password = self._issue("cloudflare", ttl_s)
        servers = [
            {"urls": ["stun:stun.cloudflare.com:3478"]},
            {"urls": list(CLOUDFLARE_URLS), "username": username, "credential": password},
        ]
        return web.json_response({"iceServers": servers}, status=201)

    async def _twilio(self, request: web.Request) -> web.Response:
        basic = base64.b64encode(f"{self.account.user}:{self.account.secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {basic}":
            return _refused(401, 20003, "Authenticate")
        if request.match_info["account"] != self.account.account_sid:
            return _refused(404, 20404, f"The requested resource {request.path} was not found")
        given = str((await request.post()).get("Ttl", TWILIO_TTL_S))
        if not given.isdecimal() or int(given) < 1:
            return _refused(400, 20001, "Invalid Ttl")
        username, password = self._issue("twilio", int(given))
        servers: list[dict[str, str]] = [{"url": (stun := "stun:global.stun.twilio.com:3478"), "urls": stun}]
        servers += [{"url": url, "urls": url, "username": username, "credential": password} for url in TWILIO_URLS]
        now = formatdate(self._wall()).replace("-0000", "+0000")
        body: dict[str, Any] = {
            "username": username, "password": password, "ttl": given, "account_sid": self.account.account_sid,
            "date_created": now, "date_updated": now, "ice_servers": servers,
        }  # fmt: skip
        return web.json_response(body, status=201)

    def _issue(self, vendor: str, ttl_s: int) -> tuple[str, str]:
        username = f"{int(self._wall()) + ttl_s}:{vendor}-{secrets.token_hex(8)}"
        password = base64.b64encode(hmac.new(self._secret.encode(), username.encode(), hashlib.sha1).digest()).decode()
        self.issued.append(Issued(vendor, username, ttl_s))
        return username, password


def _refused(status: int, code: int, message: str) -> web.Response:
    about = f"https://www.twilio.com/docs/errors/{code}"
    return web.json_response({"code": code, "message": message, "more_info": about, "status": status}, status=status)
