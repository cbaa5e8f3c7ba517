"""SIP OPTIONS: the one request and its answers as text, and the probe over real sockets, SIPp and Kamailio included."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from real_kamailio import Line, kamailio
from real_sipp import takes_calls
from world_vendors_tls import contexts

from holdfast.core import carriers
from holdfast.core.values import Verdict
from holdfast.gather.sip_message import HEAD_BYTES_MAX, Answer, Frames, Ids, Unframed, decode, encode, target
from holdfast.gather.sip_options import Outcome, SipOptions, judge
from holdfast_gameday.world.ports import free_port

IDS = Ids(branch="z9hG4bKabc", tag="t1", call_id="c1")
OK = (
    b"SIP/2.0 200 OK\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKabc;rport=5070;received=10.0.0.1\r\n"
    b"From: <sip:holdfast@10.0.0.1>;tag=t1\r\n"
    b"To: <sip:10.0.0.2:5060>;tag=x\r\n"
    b"Call-ID: c1\r\n"
    b"CSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


# The request.


def test_the_request_is_one_that_any_sip_server_reads() -> None:
    asked = encode(target("sip:trunk.example.com"), IDS, local_host="10.0.0.1", local_port=5070)
    assert asked.decode().split("\r\n") == [
        "OPTIONS sip:trunk.example.com:5060 SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKabc;rport",
        "Max-Forwards: 70",
        "From: <sip:holdfast@10.0.0.1>;tag=t1",
        "To: <sip:trunk.example.com:5060>",
        "Call-ID: c1",
        "CSeq: 1 OPTIONS",
        "Contact: <sip:holdfast@10.0.0.1:5070>",
        "Accept: application/sdp",
        "User-Agent: holdfast",
        "Content-Length: 0",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("uri", "host", "port", "transport"),
    [
        ("sip:a.example", "a.example", 5060, "udp"),
        ("sip:ping@a.example:5080;transport=tcp", "a.example", 5080, "tcp"),
        ("sips:a.example", "a.example", 5061, "tls"),
        ("sip:[2001:db8::1]:5062", "2001:db8::1", 5062, "udp"),
    ],
)
def test_an_address_says_where_and_how_it_is_asked(uri: str, host: str, port: int, transport: str) -> None:
    read = target(uri)
    assert (read.host, read.port, read.transport) == (host, port, transport)


@pytest.mark.parametrize(
    "uri",
    ["", "a.example", "tel:+491234", "sip:", "sip:a.example:0", "sip:a.example:70000", "sip:a b", "sip:a\r\nVia: x",
     "sip:a.example\n", "sip:-a", "sip:u:secret@a.example", "sip:a?Subject=x", "sips:a;transport=udp", "sip:ä.example"],
)  # fmt: skip
def test_an_address_that_could_carry_more_than_an_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"sip|port"):
        target(uri)


@given(st.text(max_size=40), st.sampled_from(["", "sip:", "sip:a@", "sips:"]))
def test_no_address_breaks_out_of_its_line(text: str, prefix: str) -> None:
    try:
        read = target(prefix + text)
    except ValueError:
        return
    asked = encode(read, IDS, local_host="10.0.0.1", local_port=5070)
    assert asked.count(b"\r\n") == 12
    assert asked.count(b"\n") == asked.count(b"\r") == 12


# The answer.


def test_the_answer_to_our_request_is_read_with_short_names_and_folded_lines() -> None:
    short = OK.replace(b"Via:", b"v:").replace(b"Call-ID:", b"I  :").replace(b"SIP/2.0/UDP ", b"SIP/2.0/UDP\r\n  ")
    assert decode(OK, IDS) == decode(short, IDS) == Answer(200, "OK")


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (b"branch=z9hG4bKabc", b"branch=z9hG4bKabcd"),
        (b"Call-ID: c1", b"Call-ID: c2"),
        (b"1 OPTIONS", b"2 OPTIONS"),
        (b"1 OPTIONS", b"1 INVITE"),
        (b"SIP/2.0 200 OK", b"OPTIONS sip:holdfast@10.0.0.1 SIP/2.0"),
        (b"SIP/2.0 200 OK", b"SIP/3.0 200 OK"),
        (b"SIP/2.0 200 OK", b"SIP/2.0 099 OK"),
        (b"SIP/2.0 200 OK", b"SIP/2.0 200"),
        (b"Call-ID: c1\r\n", b""),
        (b"Call-ID: c1\r\n", b"Call-ID: c1\r\nCall-ID: c1\r\n"),
        (b"Via:", b"Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKother\r\nVia:"),
        (b"Via:", b"Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKother,"),
        (b"To:", b"no header at all\r\nTo:"),
        (b"To:", b"X: y\r\n" * 300 + b"To:"),
        (b"\r\n\r\n", b"\r\n"),
        (b"To:", b"X: " + b"y" * HEAD_BYTES_MAX + b"\r\nTo:"),
    ],
)
def test_what_is_no_answer_to_this_very_request_is_none(what: bytes, instead: bytes) -> None:
    assert what in OK
    assert decode(OK.replace(what, instead, 1), IDS) is None


@given(st.binary(max_size=400))
@example(b"\r\n\r\n")
def test_no_message_breaks_the_reader(message: bytes) -> None:
    assert decode(message, IDS) is None


@given(st.integers(0, len(OK) - 1), st.binary(min_size=1, max_size=3))
def test_a_damaged_answer_is_read_as_one_or_passed_over(at: int, damage: bytes) -> None:
    answer = decode(OK[:at] + damage + OK[at + len(damage) :], IDS)
    assert answer is None or (100 <= answer.status < 700 and answer.words.isprintable())


@given(st.lists(st.integers(1, 40), max_size=30))
def test_a_stream_is_divided_the_same_however_it_is_cut(cuts: list[int]) -> None:
    whole = b"\r\n\r\n" + OK + OK.replace(b"Content-Length: 0\r\n\r\n", b"l: 3\r\n\r\nabc") + OK
    frames, found, left = Frames(), [], whole
    for cut in cuts:
        found += frames.feed(left[:cut])
        left = left[cut:]
    found += frames.feed(left)
    assert [len(each) for each in found] == [len(OK), len(OK) - 17 + 4 + 3, len(OK)]


@pytest.mark.parametrize(
    "stream",
    [b"x" * (HEAD_BYTES_MAX + 1), b"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n",
     b"SIP/2.0 200 OK\r\nContent-Length: 999999\r\n\r\n", b"SIP/2.0 200 OK\r\nl: 1\r\nl: 2\r\n\r\n",
     b"HTTP/1.1 400 Bad Request\r\nrubbish\r\n\r\n"],
)  # fmt: skip
def test_a_stream_that_cannot_be_divided_is_given_up(stream: bytes) -> None:
    with pytest.raises(Unframed):
        Frames().feed(stream)


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_no_stream_breaks_the_divider(pieces: list[bytes]) -> None:
    frames = Frames()
    try:
        for piece in pieces:
            frames.feed(piece)
    except Unframed:
        return


# What an answer tells.


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "up"), (202, "up"), (302, "up"), (404, "up"), (405, "up"), (480, "up"), (483, "up"), (488, "up"),
     (501, "up"), (603, "up"), (408, "down"), (500, "down"), (503, "down"), (504, "down"), (580, "down"),
     (400, "unknown"), (401, "unknown"), (403, "unknown"), (407, "unknown"), (429, "unknown")],
)  # fmt: skip
def test_each_status_tells_of_the_carrier_or_of_us(status: int, verdict: str) -> None:
    outcome = judge(Answer(status, "words"), elapsed_s=0.1)
    assert carriers.verdict(outcome.api_status) is Verdict(verdict)
    assert outcome.ok is (verdict == "up")
    assert outcome.detail == ("" if outcome.ok else f"answer: SIP {status} words")


def test_no_answer_is_down_and_our_own_fault_is_unknown() -> None:
    assert carriers.verdict(Outcome(False, "answer", "…", 1.0).api_status) is Verdict.DOWN
    assert carriers.verdict(Outcome(False, "connect", "…", 1.0, own_fault=True).api_status) is Verdict.UNKNOWN


# The probe against small servers.

Replies = Callable[[bytes, int], list[bytes]]


class Server(asyncio.DatagramProtocol):
    """Answers each datagram as it is told, with how many came before."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self.seen: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.seen.append(data)
        for reply in self._replies(data, len(self.seen) - 1):
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def udp(replies: Replies) -> AsyncIterator[tuple[str, Server]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Server(replies), local_addr=("127.0.0.1", 0))
    yield f"sip:127.0.0.1:{transport.get_extra_info('sockname')[1]}", server
    transport.abort()


@asynccontextmanager
async def tcp(replies: Replies, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        for reply in replies(asked, 0):
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"sip:127.0.0.1:{server.sockets[0].getsockname()[1]};transport=tcp"


def reply(asked: bytes, status: str = "200 OK") -> bytes:
    """As a server answers: what came is copied."""
    kept = [line for line in asked.split(b"\r\n") if line.split(b":")[0] in {b"Via", b"From", b"Call-ID", b"CSeq"}]
    return b"\r\n".join([b"SIP/2.0 " + status.encode(), *kept, b"To: <sip:x>;tag=1", b"Content-Length: 0", b"", b""])


async def ask(uri: str, timeout_s: float = 3.0) -> Outcome:
    return await SipOptions(ssl.create_default_context()).ask(target(uri), timeout_s=timeout_s)


async def test_an_answer_by_datagram_and_by_stream_is_up() -> None:
    async with udp(lambda asked, _: [reply(asked)]) as (uri, _), tcp(lambda asked, _: [reply(asked)]) as stream:
        first, second = await ask(uri), await ask(stream)
    assert (first.ok, first.stage, first.status) == (second.ok, second.stage, second.status) == (True, "done", 200)


async def test_a_lost_datagram_is_sent_again_with_the_same_ids() -> None:
    async with udp(lambda asked, before: [reply(asked)] if before else []) as (uri, server):
        outcome = await ask(uri)
    assert outcome.ok
    assert len(server.seen) == 2
    assert server.seen[0] == server.seen[1]


async def test_rubbish_and_answers_to_others_before_the_answer_are_passed_over() -> None:
    def replies(asked: bytes, _: int) -> list[bytes]:
        foreign = reply(asked, "503 Busy").replace(b"Call-ID: ", b"Call-ID: x")
        return [b"\x00\xff rubbish", b"", foreign, reply(asked, "100 Trying"), reply(asked)]

    async with udp(replies) as (uri, _):
        assert (await ask(uri)).status == 200


async def test_silence_is_down_and_says_what_was_heard_instead() -> None:
    async with udp(lambda asked, _: []) as (uri, _), udp(lambda asked, _: [reply(asked, "100 Trying")]) as (busy, _):
        silent, trying = await ask(uri, 0.2), await ask(busy, 0.2)
    assert (silent.ok, silent.detail) == (False, "answer: no end within 200 ms")
    assert trying.detail == "answer: no end within 200 ms, only SIP 100"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_refused_connection_is_told_at_once(transport: str) -> None:
    outcome = await ask(f"sip:127.0.0.1:{free_port()};transport={transport}")
    assert (outcome.ok, outcome.own_fault) == (False, False)
    assert outcome.detail.endswith("connection refused")
    assert outcome.elapsed_s < 3


async def test_a_stream_that_closes_or_floods_is_down() -> None:
    async with tcp(lambda asked, _: []) as closes, tcp(lambda asked, _: [b"x" * 100_000]) as floods:
        assert (await ask(closes)).detail == "answer: connection closed before an answer"
        assert (await ask(floods)).detail == "answer: a head that does not end"


async def test_a_name_that_does_not_resolve_is_our_fault() -> None:
    outcome = await ask("sip:nowhere.invalid")
    assert (outcome.ok, outcome.own_fault) == (False, True)


async def test_over_tls_a_trusted_server_is_up_and_an_untrusted_one_is_not(tmp_path: Path) -> None:
    server, client = contexts(tmp_path, "sip.example.com")
    async with tcp(lambda asked, _: [reply(asked)], tls=server) as uri:
        address = target(uri.replace("transport=tcp", "transport=tls"))
        trusted = await SipOptions(client).ask(address, timeout_s=3.0)
        untrusted = await SipOptions(ssl.create_default_context()).ask(address, timeout_s=3.0)
    assert (trusted.ok, trusted.status) == (True, 200)
    assert (untrusted.ok, untrusted.detail) == (False, "connect: certificate: self-signed certificate")


# The probe against the real programs.


@pytest.mark.programs
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_real_kamailio_answers(transport: str) -> None:
    async with kamailio(Line(free_port(), "fra")) as proxy:
        outcome = await ask(f"sip:127.0.0.1:{proxy.sip};transport={transport}")
    assert (outcome.ok, outcome.status, outcome.detail) == (True, 200, "")


OPTIONS = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="options"><recv request="OPTIONS"/><send><![CDATA[
      SIP/2.0 {status}
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]T[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

  ]]></send></scenario>
"""


@pytest.mark.programs
@pytest.mark.parametrize(
    ("status", "verdict"), [("200 OK", "up"), ("503 Draining", "down"), ("403 Who Are You", "unknown")]
)
async def test_a_real_sipp_is_judged_by_what_it_answers(status: str, verdict: str) -> None:
    async with takes_calls(scenario=OPTIONS.format(status=status)) as carrier:
        outcome = await ask(carrier.uri)
    assert carriers.verdict(outcome.api_status) is Verdict(verdict)
    assert outcome.status == int(status[:3])


@pytest.mark.programs
async def test_a_real_sipp_that_was_killed_is_down() -> None:
    async with takes_calls() as carrier:
        await carrier.kill()
        outcome = await ask(carrier.uri)
    assert carriers.verdict(outcome.api_status) is Verdict.DOWN
    assert outcome.detail == "answer: connection refused"
