"""The simulated Deepgram that hears: as our codecs find it, as the vendor's own package does, and whom it refuses.

Every message of the simulator, every message of ours and every parameter of our links is held against the vendor's own
description on its way (`world_deepgram.Link`).
"""

import json
from itertools import pairwise
from urllib.parse import parse_qs

import httpx
import pytest
from picows import WSHandshakeError
from world_deepgram import (
    FLUX_QUERY,
    KEY,
    NOVA_QUERY,
    QUICK,
    V1,
    V2,
    HearingLink,
    Link,
    check_server,
    check_url,
    spoken,
    vendors_client,
)

from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import deepgram
from holdfast_bridge.providers import deepgram_flux as flux
from holdfast_bridge.providers import deepgram_nova as nova
from holdfast_gameday.world import voice
from holdfast_gameday.world.deepgram import Deepgram
from holdfast_gameday.world.deepgram_listen import Pace
from holdfast_gameday.world.deepgram_listen_v1 import NET_0000
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import VendorSockets

pytestmark = pytest.mark.contract
SENTENCE = "my code is four seven one one and I would like to book a table"


@pytest.fixture
async def sim():
    vendor = Deepgram(keys={KEY: "clinic"}, pace=QUICK, record_messages=True)
    server = VendorSockets(vendor)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server
    for path, message in vendor.messages:
        check_server(path, message)


async def hearing(sim: VendorSockets, session: flux.FluxSession | nova.NovaSession) -> HearingLink:
    """Our codec on a link that is opened with our URL and our headers."""
    codec = flux.FluxHearing() if isinstance(session, flux.FluxSession) else nova.NovaHearing(session)
    vendor = flux if isinstance(session, flux.FluxSession) else nova
    url = vendor.link_url(f"ws://{sim.address}", session, {})
    check_url(url)
    return await HearingLink.open(url, deepgram.headers(KEY), codec=codec)


# --- our codecs


async def test_what_is_said_comes_back_as_a_turn_from_flux(sim):
    link = await hearing(sim, flux.FluxSession())
    await link.until_heard(st.StageReady)
    link.hear(spoken(SENTENCE))
    await link.until_heard(st.TurnEnded)

    grown = [event.text for event in link.heard if isinstance(event, st.Words)]
    assert link.heard[:3] == [st.StageReady(), st.TurnBegan(), st.Words("my")]
    assert link.heard[-1] == st.TurnEnded(SENTENCE)
    assert len(grown) >= 3
    assert all(later.startswith(sooner) for sooner, later in pairwise(grown))


async def test_what_is_said_comes_back_as_a_turn_from_nova(sim):
    link = await hearing(sim, nova.NovaSession(silence_ms=300))
    link.hear(spoken(SENTENCE))
    await link.until_heard(st.TurnEnded)

    assert link.heard[:2] == [st.StageReady(), st.TurnBegan()]
    assert isinstance(link.heard[2], st.Words)
    assert link.heard[-1] == st.TurnEnded(SENTENCE)


@pytest.mark.parametrize(
    ("language", "text"), [("de", "Ich möchte am Dienstag kommen, geht das?"), ("ja", "火曜日に予約をお願いします")]
)
@pytest.mark.parametrize("multi", [False, True])
async def test_speech_of_other_languages_is_heard_as_it_was_said(sim, language, text, multi):
    hints = () if multi else (language,)
    for session in (
        flux.FluxSession(model="flux-general-multi", language_hints=hints, eager_threshold=0.4),
        nova.NovaSession(language="multi" if multi else language),
    ):
        link = await hearing(sim, session)
        link.hear(spoken(text, silence_ms=800))
        assert await link.until_heard(st.TurnEnded) == st.TurnEnded(text)


async def test_japanese_that_was_cut_between_final_pieces_is_joined_as_it_was_said():
    text = "私の番号は四七一一です、火曜日の午後に予約をお願いします"
    server = VendorSockets(Deepgram(keys={KEY: "clinic"}, pace=Pace(latency_s=0.0, interim_ms=100, final_ms=200)))
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        link = await hearing(server, nova.NovaSession(language="ja"))
        link.hear(spoken(text))
        assert await link.until_heard(st.TurnEnded) == st.TurnEnded(text)
    finals = [message for message in link.messages if message.get("is_final")]
    assert len(finals) >= 2


async def test_a_turn_that_is_likely_over_is_told_before_its_end_and_in_the_same_words(sim):
    link = await hearing(sim, flux.FluxSession(eager_threshold=0.4))
    link.hear(spoken("yes please"))
    await link.until_heard(st.TurnEnded)
    assert link.heard[-2:] == [st.TurnLikelyOver("yes please"), st.TurnEnded("yes please")]


async def test_a_caller_who_goes_on_after_all_is_heard_as_one_turn(sim):
    link = await hearing(sim, flux.FluxSession(eager_threshold=0.4, end_threshold=0.9))
    link.hear(spoken("I need to cancel", silence_ms=240) + spoken("my booking", number=2))
    await link.until_heard(st.TurnEnded)

    told = [event for event in link.heard if not isinstance(event, st.Words)]
    assert told == [
        st.StageReady(),
        st.TurnBegan(),
        st.TurnLikelyOver("I need to cancel"),
        st.TurnGoesOn(),
        st.TurnLikelyOver("I need to cancel my booking"),
        st.TurnEnded("I need to cancel my booking"),
    ]


async def test_a_caller_who_makes_a_short_pause_is_heard_as_one_turn_by_nova(sim):
    link = await hearing(sim, nova.NovaSession(silence_ms=500))
    link.hear(spoken("I need to cancel", silence_ms=240) + spoken("my booking", number=2))
    assert await link.until_heard(st.TurnEnded) == st.TurnEnded("I need to cancel my booking")
    assert [event for event in link.heard if isinstance(event, st.TurnBegan)] == [st.TurnBegan()]


async def test_a_turn_of_several_final_pieces_is_joined(sim):
    link = await hearing(sim, nova.NovaSession(silence_ms=500))
    parts = ["one two three four five six seven eight nine ten"] * 9
    link.hear(b"".join(spoken(part, number=n, silence_ms=100) for n, part in enumerate(parts)) + voice.silence(30))
    assert await link.until_heard(st.TurnEnded) == st.TurnEnded(" ".join(parts))
    assert sum(message.get("is_final", False) for message in link.messages) >= 2


async def test_a_noise_is_a_turn_without_words_for_nova_and_nothing_for_flux(sim):
    noise = spoken("")
    a = await hearing(sim, nova.NovaSession(silence_ms=300))
    a.hear(noise)
    await a.until_heard(st.TurnEnded)
    b = await hearing(sim, flux.FluxSession())
    b.hear(noise + spoken("hello", number=2))
    await b.until_heard(st.TurnEnded)

    assert a.heard == [st.StageReady(), st.TurnBegan(), st.TurnEnded("")]
    assert [event for event in b.heard if isinstance(event, st.TurnEnded)] == [st.TurnEnded("hello")]


@pytest.mark.parametrize("session", [flux.FluxSession(), nova.NovaSession()])
async def test_a_turn_that_dangles_is_ended_by_keeping_the_link_alive(sim, session):
    link = await hearing(sim, session)
    link.keep_alive()
    link.hear(spoken("hello", silence_ms=0))
    link.keep_alive()
    assert await link.until_heard(st.TurnEnded) == st.TurnEnded("hello")
    assert "Error" not in link.kinds()


async def test_an_error_of_the_server_loses_the_stage(sim):
    link = await hearing(sim, flux.FluxSession())
    await link.until_heard(st.StageReady)
    sim.inject(Fault(kind="error"))
    assert await link.until_heard(st.StageLost) == st.StageLost("server_error")
    await link.gone.wait()


@pytest.mark.parametrize(
    ("session", "closed", "heard"),
    [
        (flux.FluxSession(), (1011, "INTERNAL_SERVER_ERROR"), [st.StageReady(), st.StageLost("server_error")]),
        (nova.NovaSession(), (1011, NET_0000), [st.StageReady()]),
    ],
)
async def test_an_error_that_was_there_before_the_link_ends_it_at_once(sim, session, closed, heard):
    sim.inject(Fault(kind="error"))
    link = await hearing(sim, session)
    await link.gone.wait()
    assert link.closed == closed
    assert link.heard == heard


@pytest.mark.parametrize("session", [flux.FluxSession(), nova.NovaSession()])
async def test_what_is_sent_to_a_vendor_that_is_slow_to_begin_is_heard_after_all(sim, session):
    sim.inject(Fault(kind="slow", delay_s=0.05))
    link = await hearing(sim, session)
    link.hear(spoken("hello there"))
    assert await link.until_heard(st.TurnEnded) == st.TurnEnded("hello there")


async def test_a_fault_may_strike_when_a_turn_has_begun(sim):
    sim.inject(Fault(kind="close", at="speaking", code=1011))
    link = await hearing(sim, flux.FluxSession())
    link.hear(spoken("hello there", silence_ms=0))
    await link.gone.wait()
    assert link.closed == (1011, "")
    assert link.heard[:2] == [st.StageReady(), st.TurnBegan()]


@pytest.mark.parametrize("session", [flux.FluxSession(), nova.NovaSession()])
async def test_both_take_our_words_of_leaving(sim, session):
    link = await hearing(sim, session)
    link.finish()
    await link.gone.wait()
    assert link.closed == (1000, "")


# --- the vendor's package


async def test_the_vendors_package_hears_a_turn_of_flux(sim):
    async with httpx.AsyncClient() as http:
        client = vendors_client(sim.address, http)
        async with client.listen.v2.connect(
            model="flux-general-multi", encoding="mulaw", sample_rate=8000, eager_eot_threshold=0.4,
            language_hint=["de", "en"], keyterm=["Frau Weiß"], mip_opt_out=True,
        ) as connection:  # fmt: skip
            connected = await connection.recv()
            await connection.send_configure({"type": "Configure", "thresholds": {"eot_threshold": 0.8}})
            configured = await connection.recv()
            await connection.send_media(spoken("guten Tag"))
            turns = []
            async for message in connection:
                turns.append(message)
                if message.event == "EndOfTurn":
                    break

    assert connected.type == "Connected"
    assert configured.thresholds.eot_threshold == 0.8
    assert configured.keyterms == ["Frau Weiß"]
    assert [turn.event for turn in turns if turn.event != "Update"] == ["StartOfTurn", "EagerEndOfTurn", "EndOfTurn"]
    assert turns[-1].transcript == turns[-2].transcript == "guten Tag"
    assert [word.word for word in turns[-1].words] == ["guten", "Tag"]
    assert turns[-1].trigger == "model"
    assert turns[-1].languages_hinted == ["de", "en"]


async def test_the_vendors_package_hears_results_of_nova_and_takes_its_leave(sim):
    async with httpx.AsyncClient() as http:
        client = vendors_client(sim.address, http)
        async with client.listen.v1.connect(
            model="nova-3", encoding="mulaw", sample_rate=8000, interim_results="true", vad_events="true",
            endpointing=300, utterance_end_ms=1000,
        ) as connection:  # fmt: skip
            await connection.send_media(spoken("good morning", silence_ms=1500))
            await connection.send_keep_alive()
            await connection.send_close_stream()
            messages = [message async for message in connection]

    kinds = [message.type for message in messages]
    final = next(message for message in messages if message.type == "Results" and message.speech_final)
    assert kinds[0] == "SpeechStarted"
    assert kinds[-1] == "Metadata"
    assert "UtteranceEnd" in kinds
    assert final.channel.alternatives[0].transcript == "good morning"
    assert [word.word for word in final.channel.alternatives[0].words] == ["good", "morning"]


async def test_the_vendors_package_probes_its_key_by_listing_projects(sim):
    async with httpx.AsyncClient() as http:
        projects = await vendors_client(sim.address, http).manage.v1.projects.list()
    assert [project.name for project in projects.projects] == ["practice"]


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_vendors_package_is_refused_with_a_wrong_key(sim, version):
    async with httpx.AsyncClient() as http:
        listen = getattr(vendors_client(sim.address, http, key="wrong").listen, version)
        with pytest.raises(Exception, match="401"):
            async with listen.connect(model="nova-3", encoding="mulaw", sample_rate=8000):
                pass


# --- refusals


async def _refused(sim, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict, dict]:
    with pytest.raises(WSHandshakeError) as caught:
        await Link.open(f"ws://{sim.address}{path}", headers)
    answer = caught.value.response
    named = {name.lower(): value for name, value in answer.headers.items()}
    return int(answer.status), json.loads(caught.value.raw_body), named


async def test_each_answer_names_its_request_and_a_refusal_its_reason(sim):
    link = await Link.open(f"ws://{sim.address}{V2}?{FLUX_QUERY}")
    connected = await link.until("Connected")
    status, body, headers = await _refused(sim, f"{V2}?{FLUX_QUERY}", {"Authorization": f"Bearer {KEY}"})

    assert link.headers["dg-request-id"] == connected["request_id"]
    assert status == 401
    assert body == {
        "err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": headers["dg-request-id"],
    }  # fmt: skip
    assert headers["dg-error"] == "Invalid credentials."


async def test_an_unknown_path_is_refused(sim):
    assert (await _refused(sim, "/v3/listen"))[0] == 404


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model=nova-3", "model must be"),
        ("smart_format=true", "unknown query parameter: smart_format"),
        ("sample_rate=16000", "mulaw"),
        ("eot_threshold=0.4", "between 0.5 and 1.0"),
        ("eager_eot_threshold=0.95", "between 0.3 and 0.9"),
        ("eager_eot_threshold=0.8", "less than or equal to eot_threshold"),
        ("eot_timeout_ms=400", "between 500 and 60000"),
        ("language_hint=de", "not supported for model flux-general-en"),
        ("model=flux-general-multi&language_hint=tlh", "unsupported language"),
        ("keyterm=term:0.15", "weights"),
        ("&".join(["keyterm=a"] * 101), "at most 100"),
        ("eot_threshold=sure", "must be a number"),
    ],
)
async def test_flux_refuses_what_it_cannot_do(sim, change, said):
    query = parse_qs(FLUX_QUERY) | parse_qs(change)
    asked = "&".join(f"{name}={value}" for name, values in query.items() for value in values)
    status, body, headers = await _refused(sim, f"{V2}?{asked}")
    assert status == 400
    assert said in body["description"]
    assert headers["dg-error"] == body["description"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model=flux-general-en", "No such model"),
        ("eot_threshold=0.7", "unknown field `eot_threshold`"),
        ("utterance_end_ms=500", "from 1000 to 5000"),
        ("interim_results=false", "requires interim_results"),
        ("language=de-DE", "No such model"),
        ("vad_events=yes", "true or false"),
        ("endpointing=soon", "whole number"),
        ("channels=2", "one channel"),
    ],
)
async def test_nova_refuses_what_it_cannot_do(sim, change, said):
    query = parse_qs(NOVA_QUERY) | parse_qs(change)
    asked = "&".join(f"{name}={value}" for name, values in query.items() for value in values)
    status, body, _ = await _refused(sim, f"{V1}?{asked}")
    assert status == 400
    assert body["err_code"] == "INVALID_QUERY_PARAMETER"
    assert said in body["err_msg"]


async def test_so_many_links_at_once_and_no_more_for_each_endpoint():
    server = VendorSockets(Deepgram(keys={KEY: "clinic"}, pace=QUICK, limit=1))
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        first = await Link.open(f"ws://{address}{V2}?{FLUX_QUERY}")
        await first.until("Connected")
        await Link.open(f"ws://{address}{V1}?{NOVA_QUERY}")
        status, body, _ = await _refused(server, f"{V2}?{FLUX_QUERY}")
        first.say("CloseStream")
        await first.gone.wait()
        again = await Link.open(f"ws://{address}{V2}?{FLUX_QUERY}")
        await again.until("Connected")

    assert status == 429
    assert body["err_code"] == "TOO_MANY_REQUESTS"


@pytest.mark.parametrize(("status", "code"), [(402, "ASR_PAYMENT_REQUIRED"), (503, "Service Unavailable")])
async def test_refusals_on_demand_are_in_the_vendors_words(sim, status, code):
    sim.inject(Fault(kind="refuse", status=status))
    answered, body, headers = await _refused(sim, f"{V1}?{NOVA_QUERY}")
    assert answered == status
    assert body == {"err_code": code, "err_msg": headers["dg-error"], "request_id": headers["dg-request-id"]}


def test_a_link_of_ours_asks_for_nothing_that_is_not_described():
    full = flux.FluxSession(
        model="flux-general-multi", language_hints=("de", "en"), eager_threshold=0.3, keyterms=("a", "b"), no_store=True
    )
    for url in (
        flux.link_url("wss://api.deepgram.com", full, {"tag": "clinic"}),
        nova.link_url("wss://api.deepgram.com", nova.NovaSession(keyterms=("a", "b"), no_store=True), {}),
    ):
        check_url(url)
