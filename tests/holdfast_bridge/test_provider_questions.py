"""The ways of asking a provider: what a link, a list and a reply prove, and what they leave to the next question."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from probed_vendors import HTTP, VENDORS, Altered, asked, failure, given, serving

from holdfast_bridge.core.failures import Failure
from holdfast_bridge.provider_questions import beside
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Answer, Upgrade

# --- by a link


@pytest.mark.parametrize("name", ["openai", "azure-openai", "azure-voice-live", "deepgram-flux"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind="close", code=1001), Failure.ERROR),
        (Fault(kind="close", code=1011), Failure.ERROR),
        (Fault(kind="close", code=1008), Failure.AUTH),
        (Fault(kind="garbled"), Failure.ERROR),
        (Fault(kind="unknown"), Failure.ERROR),
        (Fault(kind="stall"), Failure.TIMEOUT),
    ],
    ids=["1001", "1011", "1008", "garbled", "unknown", "stall"],
)
async def test_a_link_that_opens_and_does_not_begin_is_not_well(name: str, fault: Fault, expected: Failure) -> None:
    async with serving(name) as (server, port):
        server.inject(fault)
        assert await failure(given(name, port), within_s=0.3) is expected


@pytest.mark.parametrize("name", ["deepgram-nova", "deepgram-aura", "cartesia"])
async def test_a_link_of_a_vendor_that_need_not_say_anything_first_has_to_stay(name: str) -> None:
    async with serving(name) as (server, port):
        server.inject(Fault(kind="close", code=1011))
        assert await failure(given(name, port)) is Failure.ERROR


@pytest.mark.parametrize("options", [{}, {"vertex": {"project": "p", "location": "eu"}}], ids=["key", "vertex"])
async def test_a_session_that_says_nothing_first_is_set_up(options: dict[str, object]) -> None:
    async with serving("gemini") as (server, port):
        assert await asked(given("gemini", port, options=options)) == ("", 0.0)
        assert server.counts.opened == 1
        assert await failure(given("gemini", port, options=options, key="wrong")) is Failure.AUTH
        assert await failure(given("gemini", port, options=options, model="gemini-none")) is Failure.CONFIG
        server.inject(Fault(kind="close", code=1007))
        assert await failure(given("gemini", port, options=options)) is Failure.CONFIG, "nobody had said anything yet"


# --- by a list


def without_a_list(answer: Answer) -> Callable[[Upgrade], Answer | None]:
    return lambda asked: answer if asked.path.endswith("/models") else None


UNHELPFUL = [{"data": [{"id": "gpt-other"}]}, {"data": "?"}, "a page", [{"model_id": 7}], [], "x" * 600_000]


@pytest.mark.parametrize("body", UNHELPFUL, ids=["other", "ill-typed", "page", "number", "empty", "too-long"])
async def test_a_model_that_its_list_does_not_name_is_asked_for_by_a_session(body: object) -> None:
    """On Azure a list has models, and an attempt a deployment."""
    vendor = Altered(VENDORS["gpt-live"](), without_a_list(Answer(200, body)))
    async with serving("gpt-live", vendor) as (server, port):
        assert await asked(given("gpt-live", port)) == ("", 0.0)
        assert server.counts.opened == 1
        assert await failure(given("gpt-live", port, model="gpt-none")) is Failure.CONFIG


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
async def test_a_key_that_may_not_read_lists_is_proven_by_what_calls_do(status: int) -> None:
    vendor = Altered(VENDORS["gpt-live"](), without_a_list(Answer(status, {"error": {"message": "no"}})))
    async with serving("gpt-live", vendor) as (_, port):
        assert await asked(given("gpt-live", port)) == ("", 0.0)


async def test_a_voice_whose_key_may_speak_but_not_read_lists_is_well() -> None:
    lacking = {"detail": {"status": "missing_permissions", "message": "... missing the permission models_read ..."}}
    vendor = Altered(VENDORS["elevenlabs"](), without_a_list(Answer(401, lacking)))
    async with serving("elevenlabs", vendor) as (server, port):
        assert await asked(given("elevenlabs", port)) == ("", 0.0)
        assert server.counts.opened == 1


async def test_a_gateway_that_has_no_list_is_asked_for_a_link() -> None:
    vendor = Altered(VENDORS["elevenlabs"](), without_a_list(Answer(404, {})))
    async with serving("elevenlabs", vendor) as (server, port):
        assert await asked(given("elevenlabs", port)) == ("", 0.0)
        assert server.counts.opened == 1


async def test_a_voice_without_a_model_of_its_own_is_proven_by_the_list_alone() -> None:
    async with serving("elevenlabs") as (server, port):
        assert await asked(given("elevenlabs", port, model="")) == ("", 0.0)
        assert server.counts.opened == 0


# --- by a reply


@pytest.mark.parametrize("name", HTTP)
async def test_what_fails_a_reply_that_has_begun_is_told(name: str) -> None:
    """The list of models knows nothing of it, so a model is asked for that is on none."""
    vendor = VENDORS[name]()
    if name != "bedrock":
        vendor.answer = lambda asked, number, real=vendor.answer: (
            Answer(404, {}) if asked.method == "GET" else real(asked, number)
        )
    async with serving(name, vendor) as (server, port):
        assert await asked(given(name, port)) == ("", 0.0)
        server.inject(Fault(kind="error"))
        assert await failure(given(name, port)) is Failure.ERROR
        server.heal()
        server.inject(Fault(kind="close"))
        assert await failure(given(name, port)) is Failure.ERROR
        server.heal()
        server.inject(Fault(kind="stall"))
        assert await failure(given(name, port), within_s=0.2) is Failure.TIMEOUT


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("wss://api.openai.com/v1/live/sessions", "https://api.openai.com/v1/models"),
        ("ws://127.0.0.1:7/gate/v1/live/sessions?x=1", "http://127.0.0.1:7/gate/v1/models?x=1"),
        ("https://api.openai.com/v1/other", ""),
    ],
)
def test_another_path_of_the_same_service_is_found_beside_the_one_that_calls_use(url: str, where: str) -> None:
    assert beside(url, "/live/sessions", "/models") == where
