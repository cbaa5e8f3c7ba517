"""The simulated Bedrock as AWS's own client, boto3, sees it, and as the bridge's codec does.

boto3 is no part of the project: `uv` fetches it for the one process that needs it, and keeps it for the next time.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from world_thinking import BOOKED, QUICK, ask, check_goes_on, check_opens_and_calls, text, thought

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import SeedText
from holdfast_bridge.providers.bedrock import BedrockConfig, BedrockConverse
from holdfast_gameday.world.aws_signed import AwsKey
from holdfast_gameday.world.bedrock import MODELS, BedrockVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import VendorHttp

pytestmark = pytest.mark.contract
BOTO3 = "boto3==1.44.5"
CLIENT = Path(__file__).parent / "clients" / "bedrock_boto3.py"
KEYS = {"AKCLINIC": AwsKey("clinic", "secret"), "AKTEMP": AwsKey("shop", "secret-2", session_token="token/1==")}
REGION = "eu-central-1"
SPEC = {
    "name": "book", "description": "Books.",
    "inputSchema": {"json": {"type": "object", "properties": {"wish": {"type": "string"}}}},
}  # fmt: skip
TOOLS = {"tools": [{"toolSpec": SPEC}]}
CACHE = {"type": "default"}


@pytest.fixture
async def sim():
    server = VendorHttp(BedrockVendor(keys=KEYS, region=REGION), pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server


def codec(sim, **changes) -> BedrockConverse:
    given = {"access_key_id": "AKCLINIC", "secret_access_key": "secret", "region": REGION, "model": MODELS[0]}
    return BedrockConverse(BedrockConfig(**{"base_url": f"http://{sim.address}", **given, **changes}))


# --- AWS's own client


async def boto3(sim, *tasks: dict) -> list[dict]:
    base = {"endpoint": f"http://{sim.address}", "region": REGION, "key": "AKCLINIC", "secret": "secret"}
    given = json.dumps([{**base, "model": MODELS[0], "do": "converse", **task} for task in tasks])
    # First without the network: what was fetched once is not asked for again.
    for network in ("--offline", "--no-progress"):
        code, out, err = await _run(network, given.encode())
        if code == 0:
            return json.loads(out)
        assert CLIENT.name not in err, err
    return pytest.skip(f"uv could not fetch {BOTO3}: {err[-300:]}")


async def _run(network: str, given: bytes) -> tuple[int | None, bytes, str]:
    # Inside of `uv run` the variable says which uv that is.
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not there to fetch boto3")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = await asyncio.create_subprocess_exec(
        uv, "run", network, "--isolated", "--no-project", "--python", sys.executable, "--with", BOTO3,
        "python", str(CLIENT), env={**env, "UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(given), 100)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out, err.decode(errors="replace")


def user(*texts: str) -> dict:
    return {"role": "user", "content": [{"text": one} for one in texts]}


def spoken(answer: dict) -> str:
    deltas = [event["contentBlockDelta"]["delta"] for event in answer["events"] if "contentBlockDelta" in event]
    return "".join(delta.get("text", "") for delta in deltas)


async def test_aws_own_client_converses_runs_a_tool_and_is_refused(sim):
    use = {"toolUseId": "tooluse_1", "name": "book", "input": {"wish": "a table"}}
    result = {"toolUseId": "tooluse_1", "content": [{"json": {"booking": "B7"}}]}
    tool = [user("book a table"), {"role": "assistant", "content": [{"toolUse": use}]}]
    answers = await boto3(
        sim,
        {"asked": {"messages": [user("hi, Zoë 你好")], "system": [{"text": "Be kind."}]}},
        {"asked": {"messages": [user("book a table")], "toolConfig": TOOLS}},
        {"asked": {"messages": [*tool, {"role": "user", "content": [{"toolResult": result}]}], "toolConfig": TOOLS}},
        {"asked": {"messages": [user("hi")]}, "secret": "wrong"},
        {"asked": {"messages": [user("hi")]}, "key": "AKTEMP", "secret": "secret-2", "token": "token/1=="},
        {"asked": {"messages": [user("hi")]}, "model": "eu.nobody.nothing-v1:0"},
        {"asked": {"messages": [{"role": "assistant", "content": [{"text": "hi"}]}]}},
        {"asked": {"messages": [user("book a table"), *tool[1:], user("now")], "toolConfig": TOOLS}},
        {"do": "models"},
        {"do": "models", "key": "AKNOBODY"},
        {"asked": {"messages": [user("hi")], "toolConfig": {"tools": [*TOOLS["tools"], {"cachePoint": CACHE}]}}},
    )
    said, called, told, forged, temporary, nobody, backwards, unpaired, listed, unknown, cached = answers
    assert spoken(said) == "you said: hi, Zoë 你好"
    assert said["events"][0] == {"messageStart": {"role": "assistant"}}
    assert said["events"][-2] == {"messageStop": {"stopReason": "end_turn"}}
    assert said["events"][-1]["metadata"]["usage"]["totalTokens"] > 0

    start = next(event["contentBlockStart"] for event in called["events"] if "contentBlockStart" in event)
    pieces = [event["contentBlockDelta"]["delta"] for event in called["events"] if "contentBlockDelta" in event]
    assert start["start"]["toolUse"]["name"] == "book"
    assert json.loads("".join(piece["toolUse"]["input"] for piece in pieces)) == {"wish": "a table"}
    assert called["events"][-2] == {"messageStop": {"stopReason": "tool_use"}}
    assert spoken(told).startswith("booked")

    assert forged["error"] == "InvalidSignatureException"
    assert spoken(temporary) == "you said: hi"
    assert nobody["message"] == "The provided model identifier is invalid."
    assert backwards["error"] == "ValidationException"
    assert unpaired["message"].startswith("Expected toolResult blocks at messages.2.content")
    assert listed["models"] == list(MODELS)
    assert unknown["error"] == "UnrecognizedClientException"
    assert spoken(cached) == "you said: hi"


async def test_aws_own_client_reads_exceptions_in_the_stream_and_statuses(sim):
    hello = {"asked": {"messages": [user("hi there")]}}
    sim.inject(Fault(kind="error", at="speaking", keys={"clinic"}, error_type="throttlingException"))
    sim.inject(Fault(kind="refuse", keys={"shop"}, status=503))
    thrown, refused = await boto3(sim, hello, {**hello, "key": "AKTEMP", "secret": "secret-2", "token": "token/1=="})
    assert thrown["error"] == "throttlingException"
    assert spoken(thrown) == "you"
    assert refused["error"] == "ServiceUnavailableException"


async def test_our_requests_are_ones_that_aws_own_client_would_send(sim):
    about = (thought(), thought(*BOOKED, asked="Go on."))
    bodies = [codec(sim, **changes).request(one, now=0.0).body for one in about for changes in ({}, {"cache": True})]
    checked = await boto3(sim, *({"do": "check", "asked": json.loads(body)} for body in bodies))
    assert [one["report"] for one in checked] == [""] * 4


# --- the bridge's codec


@pytest.mark.parametrize("apart", [False, True])
async def test_our_codec_goes_on_with_a_call_that_another_vendor_began(apart):
    server = VendorHttp(BedrockVendor(keys=KEYS, region=REGION, tools_apart=apart), pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        ours = codec(server, tools_apart=apart)
        await check_goes_on(ours)


async def test_our_codec_opens_a_call_and_calls_tools(sim):
    await check_opens_and_calls(codec(sim, cache=True))


async def test_our_codec_signs_with_temporary_credentials_and_names_of_profiles(sim):
    arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0"
    server = VendorHttp(BedrockVendor(keys=KEYS, region=REGION, models=[arn]), pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        temporary = {"access_key_id": "AKTEMP", "secret_access_key": "secret-2", "session_token": "token/1=="}
        said = await ask(codec(server, model=arn, query={"a": "ü b"}, **temporary), thought(SeedText("user", "hi")))
    assert text(said) == "you said: hi"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"secret_access_key": "wrong"}, "auth"), ({"access_key_id": "AKNOBODY"}, "auth"),
        ({"region": "us-east-1"}, "auth"), ({"session_token": "stray"}, "auth"), ({"model": "nobody"}, "config"),
        ({"extra": {"practice": 1}}, "config"),
    ],
)  # fmt: skip
async def test_our_codec_is_refused_with_what_is_wrong(sim, changes, word):
    said = await ask(codec(sim, **changes), thought(SeedText("user", "hi")))
    assert said == [st.StageLost(word, retry_same=False)]
    assert sim.counts.refused == 1


async def test_a_signature_does_not_hold_for_ever():
    late = BedrockVendor(keys=KEYS, region=REGION, clock=lambda: 1_000.0)
    server = VendorHttp(late, pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        assert await ask(codec(server), thought()) == [st.StageLost("auth", retry_same=False)]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(kind="refuse", status=429, error_type="x"), [st.StageLost("rate", retry_same=False)]),
        (Fault(kind="refuse", status=500), [st.StageLost("server")]),
        (Fault(kind="close"), [st.StageLost("cut")]),
        (Fault(kind="refuse", status=401), [st.StageLost("auth", retry_same=False)]),
        (Fault(kind="error"), [st.StageLost("server")]),
        (Fault(kind="error", error_type="rate_limit_error"), [st.StageLost("rate", retry_same=False)]),
        (Fault(kind="close", at="speaking"), [st.TextPiece("you"), st.StageLost("cut")]),
        (Fault(kind="drop", at="speaking"), [st.TextPiece("you"), st.StageLost("cut")]),
        (Fault(kind="error", at="speaking"), [st.TextPiece("you"), st.StageLost("server")]),
    ],
)
async def test_a_fault_is_told_by_our_codec(sim, fault, said):
    sim.inject(fault)
    assert await ask(codec(sim), thought(SeedText("user", "hi"))) == said
    sim.heal()
    assert text(await ask(codec(sim), thought(SeedText("user", "hi")))) == "you said: hi"


@pytest.mark.parametrize("kind", ["garbage", "unknown"])
@pytest.mark.parametrize("at", ["now", "speaking"])
async def test_what_cannot_be_read_or_is_not_known_changes_nothing(sim, kind, at):
    sim.inject(Fault(kind=kind, at=at))
    said = await ask(codec(sim), thought(SeedText("user", "hi")))
    assert text(said) == "you said: hi"
    assert isinstance(said[-1], st.ReplyEnded)
