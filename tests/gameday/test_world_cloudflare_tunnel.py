"""The simulated tunnels: documents by version, connectors that take them up, and connections that linger."""

from __future__ import annotations

from json import dumps

import aiohttp
import pytest
from world_cloudflare_spec import check

from holdfast_gameday.world.cloudflare import CloudflareApi, Fault, Token
from holdfast_gameday.world.cloudflare_state import CloudflareState
from holdfast_gameday.world.cloudflare_tunnel_state import Tunnels

HOST = "eu.voice.example.com"
RULES = [{"hostname": HOST, "service": "http://bridge:8080"}, {"service": "http_status:404"}]
OFF = [{"hostname": HOST, "service": "http_status:503"}, {"service": "http_status:404"}]


class Api:
    """Asked as a client asks; every request and every answer is held against the vendor's description."""

    async def ask(self, method, rest="", *, status=200, token="secret", json=None, tunnel=None):
        path = f"/accounts/{self.world.account}/cfd_tunnel/{tunnel or self.fra}{rest}"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.request(method, f"{self.url}{path}", headers=headers, json=json) as answer:
            body = await answer.json()
        sent = dumps(json).encode() if json is not None else b""
        check(method, path.partition("?")[0], sent, answer.status, body)
        assert answer.status == status, body
        return body["result"] if status == 200 else body["errors"][0]["code"]

    async def runs(self):
        return [client["config_version"] for client in await self.ask("GET", "/connections")]

    def answers(self, host=HOST, path="/a/clinic/front-desk/voice"):
        return self.world.service(self.fra, host, path)


@pytest.fixture
async def api():
    here = Api()
    here.now = [1000.0]
    here.world = Tunnels(clock=lambda: 1_763_700_000.0, monotonic=lambda: here.now[0], pickup_s=1.0)
    here.fra = here.world.add("fra", RULES, originRequest={"connectTimeout": 5})
    tokens = {"secret": Token("ours", user="fleet"), "look": Token("look", user="auditor", writes=False)}
    sim = here.sim = CloudflareApi(CloudflareState(), tokens=tokens, tunnels=here.world)
    async with sim.serving("127.0.0.1", 0) as address, aiohttp.ClientSession() as session:
        here.session, here.url = session, f"http://{address}/client/v4"
        yield here


async def test_every_answer_fits_the_vendors_description(api):
    connector = api.world.run(api.fra)
    assert (await api.ask("GET"))["status"] == "healthy"
    assert (await api.ask("GET", "/configurations"))["version"] == 1
    assert (await api.ask("GET", f"/connectors/{connector}"))["config_version"] == 1
    assert len((await api.ask("GET", "/connections"))[0]["conns"]) == 4
    assert isinstance(await api.ask("GET", "/token"), str)
    assert (await api.ask("PATCH", json={"name": "fra-1"}))["name"] == "fra-1"
    assert await api.ask("DELETE", "/connections", json={}) == {}
    assert await api.ask("GET", tunnel="none", status=404) == 1003
    assert await api.ask("GET", "/connectors/none", status=404) == 1004
    assert await api.ask("PUT", "/configurations", json={"config": {}}, token="look", status=403) == 10000


async def test_a_put_replaces_the_whole_document_and_raises_its_version(api):
    """The trap: whoever sends only his rules deletes the settings of the others."""
    answer = await api.ask("PUT", "/configurations", json={"config": {"ingress": OFF}})
    assert (answer["version"], answer["config"]) == (2, {"ingress": OFF})
    assert [(version.number, version.by) for version in api.world.history(api.fra)] == [(1, ""), (2, "ours")]


@pytest.mark.parametrize("ingress", [
    [], [{"hostname": HOST, "service": "http://x"}], [{"service": "http_status:404"}, {"service": "http_status:404"}],
    [{"hostname": "a.*", "service": "http://x"}, {"service": "http_status:404"}],
])  # fmt: skip
async def test_a_bad_document_is_refused_and_the_old_one_stays(api, ingress):
    assert await api.ask("PUT", "/configurations", json={"config": {"ingress": ingress}}, status=400) == 1056
    assert (await api.ask("GET", "/configurations"))["version"] == 1


async def test_a_connector_takes_a_document_up_a_while_after_it_was_written(api):
    api.world.run(api.fra)
    await api.ask("PUT", "/configurations", json={"config": {"ingress": OFF}})
    assert (await api.runs(), api.answers()) == ([1], "http://bridge:8080")
    api.now[0] += 1.0
    assert (await api.runs(), api.answers()) == ([2], "http_status:503")


async def test_a_lost_connection_is_listed_for_minutes_and_answers_nothing(api):
    connector = api.world.run(api.fra)
    api.world.lose(api.fra, connector)
    (client,) = await api.ask("GET", "/connections")
    assert all(conn["is_pending_reconnect"] for conn in client["conns"])
    assert api.answers() is None
    await api.ask("PUT", "/configurations", json={"config": {"ingress": OFF}})
    api.now[0] += 200.0
    assert await api.runs() == [1]
    api.now[0] += 100.0
    assert await api.ask("GET", "/connections") == []
    assert (await api.ask("GET"))["status"] == "down"
    api.world.regain(api.fra, connector)
    assert await api.runs() == [2]


async def test_deleted_connections_come_back_within_seconds(api):
    """A kick is no cordon."""
    api.world.run(api.fra)
    await api.ask("DELETE", "/connections", json={})
    assert (await api.runs(), api.answers()) == ([], None)
    api.now[0] += 3.0
    assert (await api.runs(), api.answers()) == ([1], "http://bridge:8080")


async def test_one_connector_may_be_kicked_alone(api):
    first, second = api.world.run(api.fra), api.world.run(api.fra, colo="AMS")
    await api.ask("DELETE", f"/connections?client_id={first}", json={})
    assert [client["id"] for client in await api.ask("GET", "/connections")] == [second]


async def test_a_new_secret_keeps_what_is_connected_and_bars_what_comes_back(api):
    api.world.run(api.fra)
    secret = {"tunnel_secret": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}
    await api.ask("PATCH", json=secret)
    assert api.answers() == "http://bridge:8080"
    await api.ask("DELETE", "/connections", json={})
    api.now[0] += 60.0
    assert api.answers() is None
    api.world.run(api.fra)
    assert api.answers() == "http://bridge:8080"
    assert await api.ask("PATCH", json={"tunnel_secret": "c2hvcnQ="}, status=400) == 1002


async def test_a_stopped_connector_is_gone_at_once(api):
    connector = api.world.run(api.fra)
    api.world.stop(api.fra, connector)
    assert await api.ask("GET", "/connections") == []


async def test_the_first_rule_that_matches_answers(api):
    api.world.run(api.fra)
    rules = [
        {"hostname": HOST, "path": "/voice$", "service": "http_status:503"},
        {"hostname": "*.example.com", "service": "http://all"}, {"service": "http_status:404"},
    ]  # fmt: skip
    await api.ask("PUT", "/configurations", json={"config": {"ingress": rules}})
    api.now[0] += 1.0
    assert [api.answers(), api.answers(path="/a/media"), api.answers("other.test")] == [
        "http_status:503", "http://all", "http_status:404",
    ]  # fmt: skip


async def test_faults_of_the_api_hit_tunnels_too(api):
    await api.ask("PUT", "/configurations", json={"config": {"ingress": OFF}})
    api.now[0] += 1.0
    api.sim.inject(Fault("error", times=1))
    await api.ask("GET", "/configurations", status=503)
    # aiohttp by itself sends a PUT again that got no answer, so that the second is lost as well.
    api.sim.inject(Fault("commit", seconds=0.0, times=2))
    with pytest.raises(aiohttp.ClientError):
        await api.ask("PUT", "/configurations", json={"config": {"ingress": RULES}})
    assert (await api.ask("GET", "/configurations"))["config"] == {"ingress": RULES}
