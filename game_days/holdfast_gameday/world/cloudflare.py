"""The simulated Cloudflare API v4, as far as load balancing goes: tokens, request limit, faults on demand.

It answers from `cloudflare_state`, which the edge reads too, and for tunnels from `cloudflare_tunnel`. It steers
nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from holdfast_gameday.world import serve
from holdfast_gameday.world.cloudflare_envelope import (
    AS_OF,
    BASE,
    TOKEN,
    Handler,
    Token,
    failure,
    page,
    parsed,
    success,
)
from holdfast_gameday.world.cloudflare_limit import REQUESTS_MAX, RequestLimit
from holdfast_gameday.world.cloudflare_state import CloudflareState, Kind, Rejected, Writer
from holdfast_gameday.world.cloudflare_tunnel import TunnelRoutes
from holdfast_gameday.world.cloudflare_tunnel_state import Tunnels
from holdfast_gameday.world.connections import ConnectionLog

__all__ = ["CloudflareApi", "Fault", "Token"]

WRITES = ("PUT", "PATCH", "POST", "DELETE")


@dataclass(frozen=True, slots=True)
class Fault:
    """For requests by the given token ids (None: all), after the first `after` of them.

    slow     wait `seconds`, then do it; who leaves before that has not written
    error    answer `status`, without doing anything
    down     the connection breaks, without anything having been done
    commit   writes only: do it, then never answer (the connection breaks after `seconds`)
    stale    reads only: answer what was true `seconds` ago
    lockout  429 to everything of that user for five minutes
    """

    kind: Literal["slow", "error", "down", "commit", "stale", "lockout"]
    tokens: Collection[str] | None = None
    writes_only: bool = False
    times: int | None = None
    after: int = 0
    seconds: float = 5.0
    status: int = 503


@dataclass(slots=True)
class _Armed:
    fault: Fault
    left: int | None
    spared: int = 0

    def take(self, token: Token, *, writes: bool) -> bool:
        fault = self.fault
        if fault.tokens is not None and token.id not in fault.tokens:
            return False
        if (fault.writes_only or fault.kind == "commit") and not writes:
            return False
        if (fault.kind == "stale" and writes) or self.left == 0:
            return False
        if self.spared < fault.after:
            self.spared += 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


class CloudflareApi:
    """`tokens` maps a bearer token to what it may do."""

    def __init__(
        self,
        state: CloudflareState,
        *,
        tokens: Mapping[str, Token],
        tunnels: Tunnels | None = None,
        limit: int = REQUESTS_MAX,
        connection_log: ConnectionLog | None = None,
        name: str = "api.cloudflare.com",
    ) -> None:
        self.state = state
        self.requests: dict[str, int] = {}  # token id -> requests seen, refused ones included
        self.write_requests: dict[str, int] = {}  # and those of them that were to change something
        self._tokens = dict(tokens)
        self._tunnels = TunnelRoutes(tunnels, may=self._may) if tunnels else None
        self._limits = {token.user: RequestLimit(limit) for token in tokens.values()}
        self._log = connection_log
        self._name = name
        self._address = ""
        self._armed: list[_Armed] = []

    def inject(self, fault: Fault) -> None:
        if fault.kind == "lockout":
            for token in self._tokens.values():
                if fault.tokens is None or token.id in fault.tokens:
                    self._limits[token.user].lock_out(self.state.clock())
            return
        self._armed.append(_Armed(fault, fault.times))

    def revoke(self, token_id: str) -> None:
        """From now on nobody knows this token."""
        self._tokens = {secret: token for secret, token in self._tokens.items() if token.id != token_id}

    def heal(self) -> None:
        """Ends every fault, lock-outs included."""
        self._armed.clear()
        self._limits = {user: RequestLimit(limit.limit) for user, limit in self._limits.items()}

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[serve.Address]:
        async with serve.serving(self._application(), host, port, ssl_context=ssl_context) as address:
            self._address = str(address)
            yield address

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._gate])
        balancers = f"{BASE}/accounts/{{account}}/load_balancers"
        zone = f"{BASE}/zones/{{zone}}/load_balancers"
        application.add_routes([
            web.get(f"{balancers}/pools", self._list("pool")),
            web.get(f"{balancers}/pools/{{id}}", self._one("pool")),
            web.put(f"{balancers}/pools/{{id}}", self._write("pool")),
            web.patch(f"{balancers}/pools/{{id}}", self._write("pool")),
            web.get(f"{balancers}/pools/{{id}}/health", self._health),
            web.get(f"{balancers}/monitors", self._list("monitor")),
            web.get(f"{balancers}/monitors/{{id}}", self._one("monitor")),
            web.get(f"{balancers}/monitors/{{id}}/references", self._references),
            web.get(zone, self._list("load_balancer")),
            web.get(f"{zone}/{{id}}", self._one("load_balancer")),
            web.put(f"{zone}/{{id}}", self._write("load_balancer")),
            web.patch(f"{zone}/{{id}}", self._write("load_balancer")),
        ])  # fmt: skip
        if self._tunnels is not None:
            application.add_routes(self._tunnels.routes())
        return application

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who asks, may they, are they within their limit, and what goes wrong today."""
        if self._log is not None:
            self._log.record(
                source=request.remote or "", address=self._address, kind="cloudflare-api", name=self._name,
                path=request.path,
            )  # fmt: skip
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.get(secret) if scheme == "Bearer" else None
        if token is None:
            return failure(401, 1000, "Invalid API Token")
        self.requests[token.id] = self.requests.get(token.id, 0) + 1
        if request.method in WRITES:
            self.write_requests[token.id] = self.write_requests.get(token.id, 0) + 1
        limit = self._limits[token.user]
        now = self.state.clock()
        verdict = limit.spend(now)
        headers = verdict.headers(now, limit=limit.limit)
        if not verdict.allowed:
            return failure(429, 10429, "More than the allowed number of requests: wait five minutes", headers)
        request[TOKEN] = token
        try:
            answer = await self._with_faults(request, handler, token)
        except Rejected as rejected:
            return failure(rejected.status, rejected.code, rejected.message, headers)
        except web.HTTPException as error:
            return failure(error.status, 7003, f"Could not route to {request.path}", headers)
        answer.headers.update(headers)
        return answer

    async def _with_faults(self, request: web.Request, handler: Handler, token: Token) -> web.StreamResponse:
        writes = request.method in WRITES
        for armed in list(self._armed):
            if not armed.take(token, writes=writes):
                continue
            fault = armed.fault
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "error":
                raise Rejected(fault.status, 10000, "Internal error on demand")
            elif fault.kind == "down":
                return _broken_off(request)
            elif fault.kind == "stale":
                request[AS_OF] = self.state.monotonic() - fault.seconds
            elif fault.kind == "commit":
                await handler(request)
                await asyncio.sleep(fault.seconds)
                return _broken_off(request)
        return await handler(request)

    def _list(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            self._may(request)
            found = self.state.listed(kind, at=request.get(AS_OF))
            if kind == "load_balancer":
                found = [one for one in found if self.state.zone_of(one["id"]) == request.match_info["zone"]]
            return page(request, found)

        return answer

    def _one(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            self._may(request)
            return success(self.state.get(kind, request.match_info["id"], at=request.get(AS_OF)))

        return answer

    def _write(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            token = self._may(request)
            body = await parsed(request)
            writer = Writer(token.id, request.remote or "")
            return success(
                self.state.write(kind, request.match_info["id"], body, method=request.method, writer=writer)
            )

        return answer

    async def _health(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        pool = self.state.get("pool", request.match_info["id"])
        healthy = self.state.health.get(pool["id"])
        pops: dict[str, Any] = {}
        if healthy is not None:
            reason = "No failures" if healthy else "TCP connection failed"
            about = {"healthy": healthy, "failure_reason": reason, "rtt": "1ms"}
            pops["Frankfurt, DE"] = {
                "healthy": healthy, "origins": [{origin["address"]: about} for origin in pool["origins"]],
            }  # fmt: skip
        return success({"pool_id": pool["id"], "pop_health": pops})

    async def _references(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        monitor = self.state.get("monitor", request.match_info["id"])["id"]
        pools = [pool for pool in self.state.listed("pool") if pool.get("monitor") == monitor]
        same = {"reference_type": "referrer", "resource_type": "pool"}
        return success([{**same, "resource_id": pool["id"], "resource_name": pool["name"]} for pool in pools])

    def _may(self, request: web.Request) -> Token:
        """A token that exists but is not for this account, zone or verb gets 403."""
        token: Token = request[TOKEN]
        account, zone = request.match_info.get("account"), request.match_info.get("zone")
        foreign = (account is not None and account != self.state.account) or (
            zone is not None and zone not in self.state.zones
        )
        if foreign or (request.method in WRITES and not token.writes):
            raise Rejected(403, 10000, "Authentication error")
        return token


def _broken_off(request: web.Request) -> web.StreamResponse:
    """An answer that nobody gets."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
