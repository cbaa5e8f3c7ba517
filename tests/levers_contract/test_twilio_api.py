"""What all Twilio drivers share: hosts and keys by Region, codes, pauses, slots, pages, and no secret in any word."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import world_twilio_region as w
from lever_twilio import IRELAND_KEY, IRELAND_SECRET, Clock, TwilioStage, twilio

from holdfast.levers.base import DriverError
from holdfast.levers.budget import RateBudget
from holdfast.levers.twilio_api import TwilioAccount, TwilioApi
from holdfast_gameday.world.twilio_faults import FaultKind

APPLICATIONS = f"/2010-04-01/Accounts/{w.ACCOUNT}/Applications.json"


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio(concurrency_limit=4) as stage:
        yield stage


async def key() -> tuple[str, str]:
    return "SK1", "s3cret"


def answering(
    answer: Callable[[httpx.Request], httpx.Response],
    *,
    clock: Clock | None = None,
    concurrent: int = 8,
    credentials: Callable[[], Awaitable[tuple[str, str]]] = key,
) -> TwilioApi:
    """A vendor that is one function, for answers which the simulated one never gives."""
    return TwilioApi(
        name="twilio-eu",
        account=TwilioAccount("AC1"),
        credentials=credentials,
        http=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        budget=RateBudget(requests=100, window_s=60, reserve=10, clock=clock or Clock()),
        concurrent=concurrent,
    )


async def refusal(call: object) -> DriverError:
    with pytest.raises(DriverError) as refused:
        await call  # type: ignore[misc]
    return refused.value


@pytest.mark.parametrize(
    ("account", "url"),
    [
        (TwilioAccount("AC1"), "https://trunking.twilio.com"),
        (TwilioAccount("AC1", region="ie1"), "https://trunking.dublin.ie1.twilio.com"),
        (TwilioAccount("AC1", region="au1"), "https://trunking.sydney.au1.twilio.com"),
        (TwilioAccount("AC1", region="ie1", edge="frankfurt"), "https://trunking.frankfurt.ie1.twilio.com"),
        (TwilioAccount("AC1", api_url="https://api.dublin.ie1.twilio.com/"), "https://trunking.dublin.ie1.twilio.com"),
        (TwilioAccount("AC1", region="ie1", api_url="http://127.0.0.1:8080"), "http://127.0.0.1:8080"),
    ],
)
def test_a_region_is_reached_through_an_edge(account: TwilioAccount, url: str) -> None:
    assert account.url("trunking") == url


@pytest.mark.parametrize(
    "account", [TwilioAccount("AC1", region="br1"), TwilioAccount("AC1", api_url="https://api.ie1.twilio.com")]
)
def test_the_host_without_an_edge_is_gone_and_is_refused_before_anything_is_sent(account: TwilioAccount) -> None:
    with pytest.raises(DriverError) as refused:
        account.url("api")
    assert (refused.value.code, refused.value.retryable) == ("NoEdge", False)


async def test_each_regions_half_takes_its_own_key_only(stage: TwilioStage) -> None:
    await stage.api(stage.ireland).call("GET", "api", APPLICATIONS)
    error = await refusal(
        stage.api(stage.home, key=IRELAND_KEY, secret=IRELAND_SECRET).call("GET", "api", APPLICATIONS)
    )
    assert error.code == "Unauthorized"
    assert "us1" in str(error)
    assert [host for _, host, _ in stage.transport.requests] == ["api.dublin.ie1.twilio.com", "api.twilio.com"]


async def test_requests_carry_basic_auth() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    await answering(answer).call("GET", "api", "/x")
    assert seen == ["Basic " + base64.b64encode(b"SK1:s3cret").decode()]


async def test_the_pause_after_a_429_doubles_until_a_request_is_taken_again(stage: TwilioStage) -> None:
    api, pauses = stage.api(stage.ireland), []
    stage.arm(FaultKind.TOO_MANY, times=3)
    for _ in range(3):
        error = await refusal(api.call("GET", "api", APPLICATIONS))
        pauses.append(error.retry_after_s)
        stage.clock.now += error.retry_after_s or 0.0
    await api.call("GET", "api", APPLICATIONS)
    stage.arm(FaultKind.TOO_MANY, times=1)
    pauses.append((await refusal(api.call("GET", "api", APPLICATIONS))).retry_after_s)
    assert pauses == [1.0, 2.0, 4.0, 1.0]


async def test_a_pause_that_twilio_names_holds() -> None:
    clock = Clock()
    api = answering(lambda _: httpx.Response(429, headers={"retry-after": "40"}), clock=clock)
    assert (await refusal(api.call("GET", "api", "/x"))).retry_after_s == 40.0
    clock.now = 39.0
    error = await refusal(api.call("GET", "api", "/x"))
    assert (error.code, error.retry_after_s) == ("RateBudget", 1.0)


async def test_what_waited_for_a_slot_is_not_sent_after_a_429(stage: TwilioStage) -> None:
    api = stage.api(stage.ireland, concurrent=1)
    stage.arm(FaultKind.TOO_MANY, times=1)
    answers = await asyncio.gather(*(api.call("GET", "api", APPLICATIONS) for _ in range(5)), return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, DriverError)]
    assert codes == ["RateLimited", *["RateBudget"] * 4]
    assert len(stage.requests()) == 1


async def test_many_requests_at_once_stay_within_the_accounts_concurrency(stage: TwilioStage) -> None:
    """The simulated account takes four at a time and answers 429 beyond."""
    api = stage.api(stage.ireland, concurrent=4)
    stage.arm(FaultKind.SLOW, delay_s=0.01)
    await asyncio.gather(*(api.call("GET", "api", APPLICATIONS, urgent=True) for _ in range(40)))
    assert len(stage.requests()) == 40


async def test_steady_reading_leaves_slots_for_a_move() -> None:
    reading, full = 0, asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal reading
        if request.url.path == "/steady":
            reading += 1
            if reading == 2:
                full.set()
            await asyncio.Event().wait()
        return httpx.Response(200, json={})

    api = answering(answer, concurrent=4)  # type: ignore[arg-type]
    steady = [asyncio.ensure_future(api.call("GET", "api", "/steady")) for _ in range(10)]
    async with asyncio.timeout(30):
        await full.wait()
        await api.call("GET", "api", "/move", urgent=True)
        await api.call("POST", "api", "/move")
    assert reading == 2
    for task in steady:
        task.cancel()
    await asyncio.gather(*steady, return_exceptions=True)


async def test_only_a_write_that_was_sent_has_an_unknown_outcome_when_the_deadline_passes() -> None:
    """The second begins first, so that its deadline passes while the other still holds the only slot."""
    taken, asked = asyncio.Event(), asyncio.Event()

    async def never(_request: httpx.Request) -> httpx.Response:
        taken.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def credentials() -> tuple[str, str]:
        if not asked.is_set():
            asked.set()
            await taken.wait()
        return "SK1", "s3cret"

    api = answering(never, concurrent=1, credentials=credentials)  # type: ignore[arg-type]
    first = asyncio.ensure_future(api.call("POST", "api", "/x"))
    await asked.wait()
    waiting, sent = await asyncio.gather(first, api.call("POST", "api", "/x"), return_exceptions=True)
    assert isinstance(sent, DriverError)
    assert isinstance(waiting, DriverError)
    assert (sent.code, sent.outcome_unknown) == ("Timeout", True)
    assert (waiting.code, waiting.outcome_unknown) == ("Timeout", False)


@pytest.mark.parametrize(("failure", "unknown"), [(httpx.ConnectError, False), (httpx.ReadError, True)])
async def test_a_write_that_never_had_a_connection_was_not_done(failure: type[Exception], unknown: bool) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise failure("gone")

    error = await refusal(answering(answer).call("POST", "api", "/x"))
    assert (error.code, error.retryable, error.outcome_unknown) == ("Unreachable", True, unknown)


@pytest.mark.parametrize(
    ("status", "vendor_code", "code", "retryable"),
    [
        (401, 20003, "Unauthorized", False),
        (403, 20003, "Unauthorized", False),
        (401, 20005, "AccountSuspended", False),
        (404, 20404, "NoOrigin", False),
        (400, 21502, "Refused", False),
        (503, 20503, "VendorError", True),
    ],
)
async def test_each_refusal_has_a_stable_code_and_no_secret(
    status: int, vendor_code: int, code: str, retryable: bool
) -> None:
    body = {"code": vendor_code, "message": "what of s3cret?", "status": status}
    error = await refusal(answering(lambda _: httpx.Response(status, json=body)).call("GET", "api", "/x"))
    assert (error.code, error.retryable) == (code, retryable)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize("text", ["<html>", "[]", ""])
async def test_an_answer_that_is_no_object_is_malformed(text: str) -> None:
    error = await refusal(answering(lambda _: httpx.Response(200, text=text)).call("POST", "api", "/x"))
    assert (error.code, error.retryable, error.outcome_unknown) == ("Malformed", True, True)


async def test_our_key_goes_to_no_host_that_a_next_page_names() -> None:
    hosts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(f"{request.url.host}{request.url.path}")
        following = "https://evil.example.com/v1/next?Page=1" if len(hosts) == 1 else None
        return httpx.Response(200, json={"trunks": [{"sid": "TK1"}], "meta": {"next_page_url": following}})

    assert len(await answering(answer).pages("trunking", "/v1/Trunks", "trunks")) == 2
    assert hosts == ["trunking.twilio.com/v1/Trunks", "trunking.twilio.com/v1/next"]


async def test_a_list_without_its_entries_is_malformed() -> None:
    error = await refusal(answering(lambda _: httpx.Response(200, json={})).pages("trunking", "/v1/Trunks", "trunks"))
    assert error.code == "Malformed"


async def test_steady_reading_cannot_spend_the_reserve(stage: TwilioStage) -> None:
    api = stage.api(stage.ireland, requests=20)
    for _ in range(18):
        await api.call("GET", "api", APPLICATIONS)
    assert (await refusal(api.call("GET", "api", APPLICATIONS))).code == "RateBudget"
    await api.call("GET", "api", APPLICATIONS, urgent=True)
