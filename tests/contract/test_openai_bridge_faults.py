"""What the bridge makes of each way in which a vendor of this protocol fails: over a socket, with its own link."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from control_builders import built
from world_azure import SOON

from holdfast_bridge import provider_link, speech_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_gameday.world import azure_openai, azure_voice_live, openai_realtime
from holdfast_gameday.world.azure_openai import AzureOpenAI
from holdfast_gameday.world.azure_voice_live import AzureVoiceLive
from holdfast_gameday.world.openai_realtime import OpenAIVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import VendorSockets

pytestmark = pytest.mark.contract
KEY = "key"
WORDS = "Grüezi, ich bin wieder da, und wir machen dort weiter, wo wir vorhin unterbrochen worden sind, wenn Sie mögen."
VENDORS: dict[str, tuple[Any, str]] = {
    "openai": (OpenAIVendor, openai_realtime.PATH),
    "azure-openai": (AzureOpenAI, azure_openai.PATH),
    "azure-voice-live": (AzureVoiceLive, azure_voice_live.PATH),
}


async def met(kind: str, fault: Fault, *, key: str = KEY, model: str = "gpt-realtime") -> tuple[str, bool]:
    """The word for how a call's first reply failed, and whether the same is asked again; `well` if it did not."""
    vendor, path = VENDORS[kind]
    server = VendorSockets(vendor(keys={KEY: "clinic"}, pace=SOON))
    server.inject(fault)
    outcome: asyncio.Future[tuple[str, bool]] = asyncio.get_running_loop().create_future()

    def settle(word: str, retry_same: bool = True) -> None:
        if not outcome.done():
            outcome.set_result((word, retry_same))

    async with asyncio.timeout(30), server.serving("127.0.0.1", 0) as address:
        attempt = Attempt(name="first", kind=kind, model=model, voice="marin", base_url=f"ws://{address}{path}")  # type: ignore[arg-type]
        settings = built()
        codec = speech_codecs.codec_for(attempt, settings)

        def hear(message: bytes) -> None:
            for event in codec.decode(message):
                match event:
                    case ev.ProviderReady():
                        for wish in codec.encode(ev.Respond(f"Say exactly: {WORDS}", words=WORDS)):
                            link.send(wish)
                    case ev.ProviderLost(reason=word, retry_same=again):
                        settle(word, again)
                    case ev.ResponseDone(ok=ok, detail=word):
                        settle("well" if ok else word)

        url, headers = speech_codecs.address(attempt, settings, key)
        try:
            link = await provider_link.dial(url, headers, on_message=hear, on_lost=settle)
        except ProviderUnreachable as error:
            return error.error_class, error.retry_same
        for message in codec.opening():
            link.send(message)
        try:
            return await outcome
        finally:
            link.close()


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize(
    ("fault", "word", "again", "means"),
    [
        (Fault("refuse", status=503), "server", True, Failure.ERROR),
        (Fault("refuse", status=401), "auth", False, Failure.AUTH),
        (Fault("refuse", status=403), "auth", False, Failure.AUTH),
        (Fault("refuse", status=402), "quota", False, Failure.QUOTA),
        (Fault("refuse", status=429), "rate", False, Failure.RATE_LIMITED),
        (Fault("refuse", status=429, error_code="insufficient_quota"), "quota", False, Failure.QUOTA),
        (Fault("refuse", status=404), "config", False, Failure.CONFIG),
        (Fault("close", code=1011), "closed_1011", True, Failure.ERROR),
        (Fault("close", code=1013, at="speaking"), "closed_1013", True, Failure.ERROR),
        (Fault("close", code=1001, at="speaking"), "closed_1001", True, None),
        (Fault("close", code=1008), "auth", False, Failure.AUTH),
        (Fault("close", code=4000, reason="invalid_request_error.x"), "config", False, Failure.CONFIG),
        (Fault("drop", at="speaking"), "disconnected", True, Failure.ERROR),
        (Fault("garbled", at="speaking"), "unreadable", True, Failure.ERROR),
        (Fault("error", error_code="internal_error"), "internal_error", True, Failure.ERROR),
        (Fault("error", at="speaking", error_code="internal_error"), "internal_error", True, Failure.ERROR),
        (Fault("error", error_type="rate_limit_error", error_code="rate_limit_exceeded"), "rate_limit_exceeded", False,
         Failure.RATE_LIMITED),
        (Fault("error", error_type="insufficient_quota", error_code=""), "insufficient_quota", False, Failure.QUOTA),
    ],
)  # fmt: skip
async def test_each_failure_has_its_word_and_kind(
    kind: str, fault: Fault, word: str, again: bool, means: Failure | None
) -> None:
    assert await met(kind, fault) == (word, again)
    assert failures.kind(word) is means


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("fault", [Fault("garbage"), Fault("garbage", at="speaking"), Fault("unknown")])
async def test_one_odd_message_is_no_failure(kind: str, fault: Fault) -> None:
    assert await met(kind, fault) == ("well", True)


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_wrong_key_is_told_from_a_wrong_name(kind: str) -> None:
    nothing = Fault("slow", delay_s=0.0)
    assert await met(kind, nothing, key="wrong") == ("auth", False)
    if kind == "azure-openai":
        assert await met(kind, nothing, model="nobody") == ("config", False)
