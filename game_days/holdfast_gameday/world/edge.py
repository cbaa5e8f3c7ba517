"""The simulated edge: takes HTTPS for the policy hosts and passes each new request to the first pool that may serve.

Open sockets stay where they are whatever is written at the API. It reads the simulated Cloudflare's state, as it was
`propagation_s` ago, and writes nothing but what its monitors found. It knows no agents and no calls.

    530 every pool off, or no connector · 520 broke off · 521 refused · 522 no connection in time · 523 unreachable
    524 no answer in time · 525, 526 TLS to the origin
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from holdfast_gameday.world import edge_route, serve
from holdfast_gameday.world.cloudflare_state import CloudflareState, Rejected
from holdfast_gameday.world.cloudflare_tunnel_state import Tunnels
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.edge_monitor import Monitors

SERVED_KEPT = 10_000
CHANCE = random.SystemRandom()
BODY_OCTETS_MAX = 4 * 1024 * 1024
RETRIED = (521, 522, 523)
TUNNEL = ".cfargotunnel.com"
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "content-length", "host",
})  # fmt: skip
_HANDSHAKE = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol")


@dataclass(frozen=True, slots=True)
class Manners:
    """How the edge treats origins. A real edge waits long before it gives a connection up."""

    connect_timeout_s: float = 15.0
    answer_timeout_s: float = 100.0
    propagation_s: float = 0.0
    origin_port: int = 443
    monitors: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    at: float
    monotonic: float
    host: str
    path: str
    pool: str
    status: int


class _Unserved(Exception):
    """The origin gave no answer; the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class _Answered(Exception):
    """A tunnel's rule is itself the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Edge:
    """`origin_tls` is how origins are spoken to (None: plain HTTP); `source` the address it dials from.

    `resolve` turns an origin's name into an address; addresses pass through it unchanged. `place` says from a caller's
    address whence it calls; `draw` gives the number from 0 to 1 that decides what a pool sheds by chance.
    """

    def __init__(
        self,
        state: CloudflareState,
        *,
        origin_tls: ssl.SSLContext | None,
        manners: Manners = Manners(),
        resolve: Callable[[str], str] = str,
        place: Callable[[str], edge_route.Place] = lambda _: edge_route.Place(),
        draw: Callable[[], float] = CHANCE.random,
        tunnels: Tunnels | None = None,
        source: str | None = None,
        connection_log: ConnectionLog | None = None,
    ) -> None:
        self.state = state
        self.served: deque[Served] = deque(maxlen=SERVED_KEPT)
        self.open_sockets = 0
        self._manners = manners
        self._tls = origin_tls
        self._resolve = resolve
        self._place = place
        self._draw = draw
        self._tunnels = tunnels
        self._source = source
        self._log = connection_log
        self._address = ""
        self._session: aiohttp.ClientSession | None = None
        self.monitors = Monitors(state, probe=self._probe)

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[serve.Address]:
        application = web.Application(client_max_size=BODY_OCTETS_MAX)
        application.router.add_route("*", "/{path:.*}", self._handle)
        local = (self._source, 0) if self._source else None
        # One connection per request: what an origin is asked is then never lost in a connection that had died.
        connector = aiohttp.TCPConnector(local_addr=local, force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._manners.connect_timeout_s, sock_read=self._manners.answer_timeout_s
        )
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
            serve.serving(application, host, port, ssl_context=ssl_context) as address,
        ):
            self._session = session
            self._address = str(address)
            if not self._manners.monitors:
                yield address
                return
            watch = asyncio.get_running_loop().create_task(self.monitors.run())
            try:
                yield address
            finally:
                watch.cancel()
                await asyncio.wait({watch})

    def route(self, host: str, *, source: str = "") -> edge_route.Route | None:
        """Where a new request from this address would go; None when no load balancer has this name."""
        at = self.state.monotonic() - self._manners.propagation_s if self._manners.propagation_s else None
        balancers = [one for one in self.state.listed("load_balancer", at=at) if one["name"] == host]
        if not balancers:
            return None
        pools = {pool["id"]: pool for pool in self.state.listed("pool", at=at)}
        return edge_route.route(
            balancers[0], pools, healthy=self._healthy, sheds=lambda pool: self._sheds(pool, source),
            place=self._place(source),
        )  # fmt: skip

    def _sheds(self, pool: Mapping[str, Any], source: str) -> bool:
        """By chance for each request, or for ever for the same part of all addresses."""
        shedding = pool.get("load_shedding") or {}
        percent = float(shedding.get("default_percent", 0))
        if shedding.get("default_policy") == "hash":
            return zlib.crc32(source.encode()) % 100 < percent
        return self._draw() * 100 < percent

    def _healthy(self, pool: Mapping[str, object]) -> bool:
        """With a monitor on it, a pool that was not found healthy counts as down."""
        if not self._manners.monitors or not pool.get("monitor"):
            return True
        return self.state.health.get(str(pool["id"]), False)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        self._record(source=request.remote or "", address=self._address, name=host, path=request.path)
        found = self.route(host, source=request.remote or "")
        if found is None:
            return web.Response(status=404, text="no such host\n")
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        body = b"" if upgrade else await request.read()
        status = 530
        for origin in found.origins[: 2 if found.failover else 1]:
            try:
                behind = self._behind(origin, host, request.path)
                if upgrade:
                    return await self._pass_socket(request, host, behind)
                return await self._pass_request(request, body, host, behind)
            except _Answered as answered:
                self._note(request, host, origin.pool, answered.status)
                return web.Response(status=answered.status)
            except _Unserved as unserved:
                status = unserved.status
                self._note(request, host, origin.pool, status)
                if status not in RETRIED:
                    break
        if not found.origins:
            self._note(request, host, "", status)
        return web.Response(status=status, text=f"error code: {1016 if status == 530 else status}\n")

    def _behind(self, origin: edge_route.Origin, host: str, path: str) -> edge_route.Origin:
        """Where an origin that is a tunnel leads a request that comes now; what is under way stays where it is."""
        if self._tunnels is None or not origin.address.endswith(TUNNEL):
            return origin
        try:
            service = self._tunnels.service(origin.address.removesuffix(TUNNEL), host, path)
        except Rejected as error:
            raise _Unserved(530) from error
        if service is None:
            raise _Unserved(530)
        if service.startswith("http_status:"):
            raise _Answered(int(service.removeprefix("http_status:")))
        url = URL(service)
        return edge_route.Origin(origin.pool, url.host or "", url.port)

    async def _pass_request(
        self, request: web.Request, body: bytes, host: str, origin: edge_route.Origin
    ) -> web.StreamResponse:
        assert self._session is not None
        with _named_failures():
            async with self._session.request(
                request.method, self._url(request, origin), headers=_onward(request, host), data=body,
                allow_redirects=False, server_hostname=self._sni(host), ssl=self._tls or False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:  # fmt: skip
                content = await answer.read()
        headers = CIMultiDict((k, v) for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP)
        self._note(request, host, origin.pool, answer.status)
        return web.Response(status=answer.status, headers=headers, body=content)

    async def _pass_socket(
        self, request: web.Request, host: str, origin: edge_route.Origin
    ) -> web.StreamResponse:
        assert self._session is not None
        headers = _onward(request, host)
        protocols = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name]
        for name in _HANDSHAKE:
            headers.popall(name, None)
        try:
            with _named_failures():
                async with asyncio.timeout(self._manners.answer_timeout_s):
                    upstream = await self._session.ws_connect(
                        self._url(request, origin), headers=headers, protocols=protocols, autoclose=False,
                        autoping=False, max_msg_size=0, server_hostname=self._sni(host), ssl=self._tls or False,
                    )  # fmt: skip
        except aiohttp.WSServerHandshakeError as refused:
            self._note(request, host, origin.pool, refused.status)
            return web.Response(status=refused.status)
        self._note(request, host, origin.pool, 101)
        chosen = (upstream.protocol,) if upstream.protocol else ()
        downstream = web.WebSocketResponse(autoclose=False, autoping=False, protocols=chosen, max_msg_size=0)
        await downstream.prepare(request)
        self.open_sockets += 1
        try:
            await _join(downstream, upstream, request)
        finally:
            self.open_sockets -= 1
            await upstream.close()
        return downstream

    async def _probe(self, address: str, port: int | None, *, host: str, path: str, timeout_s: float) -> int:
        """A monitor's request; its status, or the edge's own for an origin that gave none."""
        assert self._session is not None
        scheme = "https" if self._tls else "http"
        try:
            behind = self._behind(edge_route.Origin("", address, port), host, path)
            at = f"{self._resolve(behind.address)}:{behind.port or self._manners.origin_port}"
            with _named_failures():
                async with asyncio.timeout(timeout_s), self._session.get(
                    URL(f"{scheme}://{at}{path}", encoded=True),
                    headers={"Host": host, "User-Agent": "Cloudflare-Traffic-Manager/1.0"},
                    server_hostname=self._sni(host), ssl=self._tls or False, allow_redirects=False,
                ) as answer:  # fmt: skip
                    return answer.status
        except (_Answered, _Unserved) as ended:
            return ended.status

    def _url(self, request: web.Request, origin: edge_route.Origin) -> URL:
        address, port = self._resolve(origin.address), origin.port or self._manners.origin_port
        scheme = "https" if self._tls else "http"
        self._record(source=self._source or self._address.rpartition(":")[0], address=f"{address}:{port}",
                     name="", path=request.path, kind="edge-origin")  # fmt: skip
        return URL(f"{scheme}://{address}:{port}{request.raw_path}", encoded=True)

    def _sni(self, host: str) -> str | None:
        return host if self._tls else None

    def _note(self, request: web.Request, host: str, pool: str, status: int) -> None:
        self.served.append(Served(self.state.clock(), self.state.monotonic(), host, request.path, pool, status))

    def _record(self, *, source: str, address: str, name: str, path: str, kind: str = "edge") -> None:
        if self._log is not None:
            self._log.record(source=source, address=address, kind=kind, name=name, path=path)


def _onward(request: web.Request, host: str) -> CIMultiDict[str]:
    headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP)
    headers["Host"] = host
    headers["CF-Connecting-IP"] = request.remote or ""
    headers["X-Forwarded-For"] = request.remote or ""
    headers["X-Forwarded-Proto"] = "https"
    return headers


@contextlib.contextmanager
def _named_failures() -> Iterator[None]:
    """Turns what a dial may end in into the edge's status; a refused handshake is the origin's own answer."""
    try:
        yield
    except aiohttp.WSServerHandshakeError:
        raise
    except aiohttp.ClientConnectorCertificateError as error:
        raise _Unserved(526) from error
    except aiohttp.ClientSSLError as error:
        raise _Unserved(525) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise _Unserved(522) from error
    except aiohttp.ClientConnectorError as error:
        raise _Unserved(_CONNECT_STATUS.get(error.errno or 0, 523)) from error
    except TimeoutError as error:
        raise _Unserved(524) from error
    except aiohttp.ClientError as error:
        raise _Unserved(520) from error


_CONNECT_STATUS = {errno.ECONNREFUSED: 521, errno.ETIMEDOUT: 522, errno.ECONNRESET: 520}


async def _join(
    downstream: web.WebSocketResponse, upstream: aiohttp.ClientWebSocketResponse, request: web.Request
) -> None:
    """Passes messages both ways until either side ends; a side that broke off breaks the other off too."""
    async with asyncio.TaskGroup() as both:
        ways = [both.create_task(_pump(downstream, upstream)), both.create_task(_pump(upstream, downstream))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        closed = all(way.result() for way in ways if way.done())
        for way in ways:
            way.cancel()
    if not closed and request.transport is not None:
        request.transport.abort()


async def _pump(source: _Socket, target: _Socket) -> bool:
    """Whether the source ended with a close frame, which is passed on."""
    with contextlib.suppress(ConnectionError):
        while True:
            message = await source.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                code = int(message.data) if message.data else 1000
                await source.close(code=code)
                await target.close(code=code, message=str(message.extra or "").encode())
                return True
            if not await _pass(message, target):
                return False
    return False


async def _pass(message: aiohttp.WSMessage, target: _Socket) -> bool:
    match message.type:
        case aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        case aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
        case aiohttp.WSMsgType.PING:
            await target.ping(message.data)
        case aiohttp.WSMsgType.PONG:
            await target.pong(message.data)
        case _:
            return False
    return True


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
