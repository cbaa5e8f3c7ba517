"""The simulated Cloudflare API of tunnels: routes onto `cloudflare_tunnel_state`, within the API's gate and faults."""

from __future__ import annotations

import base64
from collections.abc import Callable

from aiohttp import web

from holdfast_gameday.world.cloudflare_envelope import AS_OF, BASE, Token, page, parsed, success
from holdfast_gameday.world.cloudflare_state import Rejected
from holdfast_gameday.world.cloudflare_tunnel_state import Tunnels


class TunnelRoutes:
    """`may` refuses who may not ask this, and says who asks."""

    def __init__(self, tunnels: Tunnels, *, may: Callable[[web.Request], Token]) -> None:
        self._tunnels = tunnels
        self._may = may

    def routes(self) -> list[web.RouteDef]:
        tunnels = f"{BASE}/accounts/{{account}}/cfd_tunnel"
        tunnel = f"{tunnels}/{{id}}"
        return [
            web.get(tunnels, self._list),
            web.get(tunnel, self._get),
            web.patch(tunnel, self._patch),
            web.get(f"{tunnel}/configurations", self._configuration),
            web.put(f"{tunnel}/configurations", self._configure),
            web.get(f"{tunnel}/connections", self._connections),
            web.delete(f"{tunnel}/connections", self._clean_up),
            web.get(f"{tunnel}/connectors/{{connector}}", self._connector),
            web.get(f"{tunnel}/token", self._token),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        shown = [self._tunnels.shown(each) for each in self._tunnels.ids()]
        wanted = request.query.get("name")
        return page(request, [each for each in shown if wanted in (None, each["name"])])

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        return success(self._tunnels.shown(request.match_info["id"]))

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        return success(self._tunnels.change(request.match_info["id"], await parsed(request)))

    async def _configuration(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        return success(self._tunnels.configuration(request.match_info["id"], at=request.get(AS_OF)))

    async def _configure(self, request: web.Request) -> web.StreamResponse:
        token = self._may(request)
        return success(self._tunnels.configure(request.match_info["id"], await parsed(request), by=token.id))

    async def _connections(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        return success(self._tunnels.clients(request.match_info["id"]))

    async def _clean_up(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        self._tunnels.kick(request.match_info["id"], request.query.get("client_id"))
        return success({})

    async def _connector(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        for client in self._tunnels.clients(request.match_info["id"]):
            if client["id"] == request.match_info["connector"]:
                return success(client)
        raise Rejected(404, 1004, "connector not found")

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self._may(request)
        tunnel = self._tunnels.shown(request.match_info["id"])["id"]
        return success(base64.b64encode(f"token of {tunnel}".encode()).decode())
