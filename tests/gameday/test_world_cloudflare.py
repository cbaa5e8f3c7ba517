"""The simulated Cloudflare API: what a lever may rely on, and the traps the vendor sets."""

import asyncio

import aiohttp
import pytest
from world_cloudflare_spec import check

from holdfast_gameday.world.cloudflare import CloudflareApi, Fault, Token
from holdfast_gameday.world.cloudflare_limit import RequestLimit
from holdfast_gameday.world.cloudflare_state import CloudflareState, Writer

TOKENS = {
    "secret-fra": Token("token-fra", user="fleet"),
    "secret-ams": Token("token-ams", user="fleet"),
    "secret-look": Token("token-look", user="auditor", writes=False),
}
POOL = "/accounts/{account_id}/load_balancers/pools/{pool_id}"


class Api:
    """The API under test, asked as a client asks; every answer is held against the vendor's description."""

    def __init__(self, session, state, sim):
        self.session, self.state, self.sim = session, state, sim

    async def ask(self, method, template, *, token="secret-fra", status=200, json=None, **ids):
        path = template.replace("{account_id}", ids.pop("account", "acc-practice"))
        path = path.replace("{zone_id}", "zone-practice")
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.request(method, f"{self.url}{path}", headers=headers, json=json) as answer:
            body = await answer.json()
            self.headers = answer.headers
        check(method, path, b"", answer.status, body)
        assert answer.status == status, body
        return body["result"] if status == 200 else body["errors"][0]["code"]


@pytest.fixture
async def api():
    state = CloudflareState(clock=lambda: 1_763_700_000.0)
    monitor = state.add_monitor("third net")
    state.fra = state.add_pool("fra", "172.30.0.11", description="holdfast:eu/fra", monitor=monitor)
    state.ams = state.add_pool("ams", "172.30.0.12", description="holdfast:eu/ams")
    state.eu = state.add_load_balancer("eu.voice.example.com", [state.fra, state.ams])
    sim = CloudflareApi(state, tokens=TOKENS)
    async with sim.serving("127.0.0.1", 0) as address, aiohttp.ClientSession() as session:
        asked = Api(session, state, sim)
        asked.url = f"http://{address}/client/v4"
        yield asked


async def test_every_answer_fits_the_vendors_description(api):
    fra, monitor = api.state.fra, api.state.listed("monitor")[0]["id"]
    monitors = "/accounts/{account_id}/load_balancers/monitors"

    assert [pool["name"] for pool in await api.ask("GET", POOL.rpartition("/")[0])] == ["fra", "ams"]
    assert (await api.ask("GET", POOL, pool_id=fra))["origins"][0]["address"] == "172.30.0.11"
    assert (await api.ask("GET", f"{POOL}/health", pool_id=fra))["pop_health"] == {}
    assert len(await api.ask("GET", monitors)) == 1
    assert (await api.ask("GET", f"{monitors}/{{monitor_id}}", monitor_id=monitor))["interval"] == 60
    assert len(await api.ask("GET", f"{monitors}/{{monitor_id}}/references", monitor_id=monitor)) == 1
    assert (await api.ask("GET", "/zones/{zone_id}/load_balancers"))[0]["steering_policy"] == "off"
    balancer = "/zones/{zone_id}/load_balancers/{load_balancer_id}"
    swapped = {"default_pools": [api.state.ams, fra]}
    assert (await api.ask("PATCH", balancer, load_balancer_id=api.state.eu, json=swapped))["default_pools"][1] == fra


async def test_a_cordon_is_read_back_and_remembered_with_its_writer(api):
    body = {"enabled": False, "description": "holdfast:eu/fra epoch=7"}
    answer = await api.ask("PATCH", POOL, pool_id=api.state.fra, json=body)

    assert answer["disabled_at"] == "2025-11-21T04:40:00Z"
    assert (await api.ask("GET", POOL, pool_id=api.state.fra))["enabled"] is False
    (write,) = api.state.writes
    assert (write.writer, write.kind, write.name) == (Writer("token-fra", "127.0.0.1"), "pool", "fra")
    assert (write.before["enabled"], write.after["enabled"]) == (True, False)
    assert set(write.after) == {"enabled", "description"}
    restored = await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"enabled": True})
    assert "disabled_at" not in restored


async def test_a_patch_of_origins_replaces_the_whole_array(api):
    """The trap: a client that sends one origin to change its weight deletes the others."""
    two = [{"name": "a", "address": "192.0.2.1"}, {"name": "b", "address": "192.0.2.2"}]
    await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"origins": two})
    left = await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"origins": [{**two[1], "weight": 0.5}]})

    assert [origin["name"] for origin in left["origins"]] == ["b"]


async def test_a_patch_of_load_shedding_puts_back_what_it_does_not_name(api):
    shed = {"load_shedding": {"session_percent": 30, "default_percent": 10}}
    await api.ask("PATCH", POOL, pool_id=api.state.fra, json=shed)
    left = await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"load_shedding": {"default_percent": 95}})

    assert left["load_shedding"]["session_percent"] == 0


@pytest.mark.parametrize("body", [
    {"default_pools": []}, {"country_pools": {"DE": []}}, {"region_pools": {"WEU": ["none"]}}, {"steering_policy": "x"},
])  # fmt: skip
async def test_a_bad_list_of_pools_is_refused(api, body):
    balancer = "/zones/{zone_id}/load_balancers/{load_balancer_id}"
    assert await api.ask("PATCH", balancer, load_balancer_id=api.state.eu, json=body, status=400) == 1002


async def test_a_revoked_token_is_nobodys(api):
    api.sim.revoke("token-fra")
    assert await api.ask("GET", POOL, pool_id=api.state.fra, status=401) == 1000
    await api.ask("GET", POOL, pool_id=api.state.fra, token="secret-ams")


async def test_a_connection_that_breaks_before_anything_was_done_has_not_written(api):
    api.sim.inject(Fault("down", times=1))
    with pytest.raises(aiohttp.ClientError):
        await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"enabled": False})
    assert (await api.ask("GET", POOL, pool_id=api.state.fra))["enabled"] is True


async def test_a_put_puts_back_what_it_does_not_name(api):
    put = {"name": "fra", "origins": [{"name": "fra", "address": "172.30.0.11"}]}
    answer = await api.ask("PUT", POOL, pool_id=api.state.fra, json=put)

    assert answer["description"] == ""
    assert await api.ask("PUT", POOL, pool_id=api.state.fra, json={"name": "fra"}, status=400) == 1002


@pytest.mark.parametrize("body", [
    {"enabled": "no"}, {"origins": []}, {"origins": [{"name": "x"}]}, {"monitor": "none"},
    {"origins": [{"name": "x", "address": "192.0.2.1", "weight": 2}]}, ["not an object"],
    {"load_shedding": {"default_percent": 101}}, {"load_shedding": {"default_policy": "least"}}, {"load_shedding": 5},
])  # fmt: skip
async def test_a_bad_write_is_refused_and_changes_nothing(api, body):
    before = api.state.get("pool", api.state.fra)

    assert await api.ask("PATCH", POOL, pool_id=api.state.fra, json=body, status=400) == 1002
    assert api.state.get("pool", api.state.fra) == before
    assert api.state.writes == []


async def test_who_may_not_is_told_so(api):
    fra, off = api.state.fra, {"enabled": False}
    assert await api.ask("GET", POOL, pool_id=fra, token="wrong", status=401) == 1000
    assert await api.ask("PATCH", POOL, pool_id=fra, token="secret-look", json=off, status=403) == 10000
    assert await api.ask("GET", POOL, pool_id=fra, account="acc-other", status=403) == 10000
    assert await api.ask("GET", POOL, pool_id="none", status=404) == 1001
    assert (await api.ask("GET", POOL, pool_id=fra, token="secret-look"))["enabled"] is True


def test_the_limit_locks_a_user_out_for_five_minutes():
    limit = RequestLimit(3)
    assert [limit.spend(float(second)).allowed for second in range(5)] == [True, True, True, False, False]
    assert limit.spend(302.9).headers(302.9, limit=3)["retry-after"] == "1"
    assert limit.spend(303.0).allowed
    assert [limit.spend(310.0 + second).allowed for second in (0, 1)] == [True, True]
    assert not limit.spend(312.0).allowed


def test_the_limit_starts_anew_after_its_window():
    limit = RequestLimit(2)
    assert [limit.spend(0.0).allowed, limit.spend(299.0).allowed, limit.spend(300.0).allowed] == [True, True, True]


async def test_one_runaway_token_locks_out_every_token_of_its_user(api):
    await api.ask("GET", POOL, pool_id=api.state.fra)
    assert (api.headers["x-ratelimit-limit"], api.headers["x-ratelimit-remaining"]) == ("1200", "1199")
    api.sim.inject(Fault("lockout", tokens={"token-fra"}))

    await api.ask("GET", POOL, pool_id=api.state.fra, token="secret-ams", status=429)
    assert api.headers["retry-after"] == "300"
    await api.ask("GET", POOL, pool_id=api.state.fra, token="secret-look")
    api.sim.heal()
    await api.ask("GET", POOL, pool_id=api.state.fra, token="secret-ams")


async def test_a_write_may_take_effect_without_an_answer(api):
    """The unknown outcome: the client sees a broken connection, the pool is off."""
    api.sim.inject(Fault("commit", seconds=0.01, times=1))
    with pytest.raises(aiohttp.ClientError):
        await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"enabled": False})

    assert (await api.ask("GET", POOL, pool_id=api.state.fra))["enabled"] is False


async def test_who_leaves_a_slow_answer_has_not_written(api):
    api.sim.inject(Fault("slow", seconds=60.0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await api.ask("PATCH", POOL, pool_id=api.state.fra, json={"enabled": False})

    api.sim.heal()
    assert (await api.ask("GET", POOL, pool_id=api.state.fra))["enabled"] is True


async def test_errors_hit_the_requests_asked_for(api):
    api.sim.inject(Fault("error", tokens={"token-fra"}, writes_only=True, times=1, status=502))
    off = {"enabled": False}

    await api.ask("GET", POOL, pool_id=api.state.fra)
    await api.ask("PATCH", POOL, pool_id=api.state.fra, token="secret-ams", json=off)
    await api.ask("PATCH", POOL, pool_id=api.state.fra, json=off, status=502)
    await api.ask("PATCH", POOL, pool_id=api.state.fra, json=off)


async def test_a_stale_read_shows_the_past():
    now = [100.0]
    state = CloudflareState(monotonic=lambda: now[0])
    fra = state.add_pool("fra", "172.30.0.11")
    sim = CloudflareApi(state, tokens=TOKENS)
    async with sim.serving("127.0.0.1", 0) as address, aiohttp.ClientSession() as session:
        asked = Api(session, state, sim)
        asked.url = f"http://{address}/client/v4"
        now[0] = 200.0
        await asked.ask("PATCH", POOL, pool_id=fra, json={"enabled": False})
        sim.inject(Fault("stale", seconds=10.0))
        assert (await asked.ask("GET", POOL, pool_id=fra))["enabled"] is True
        now[0] = 211.0
        assert (await asked.ask("GET", POOL, pool_id=fra))["enabled"] is False
