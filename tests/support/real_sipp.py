"""Real SIPp on loopback: callers, and a region's side that takes calls. What happened is read from SIPp's own log.

A caller's call is INVITE, an answer, ACK by the route set, a pause, and its own BYE. It ends well only if it was
answered and its BYE was. A `Call` of the log is one Call-ID with the messages one side received and sent.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_kamailio import until

from holdfast_gameday.world.ports import free_port

PROGRAM = shutil.which("sipp")

_SDP = """Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0
      a=rtpmap:0 PCMU/8000
"""


def _reply(status: str, rest: str = "Content-Length: 0\n", *, tag: bool = True, retrans: bool = False) -> str:
    to = "[last_To:];tag=[pid]T[call_number]" if tag else "[last_To:]"
    return f"""
  <send{' retrans="500"' if retrans else ""}><![CDATA[
      SIP/2.0 {status}
      [last_Via:]
      [last_Record-Route:]
      [last_From:]
      {to}
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>
      {rest}
  ]]></send>"""


ANSWERS = f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answers">
  <recv request="INVITE"/>{_reply("180 Ringing")}{_reply("200 OK", _SDP, retrans=True)}
  <recv request="ACK"/>
  <recv request="BYE"/>{_reply("200 OK", tag=False)}
</scenario>
"""

DRAINS = f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="drains">
  <recv request="INVITE"/>{_reply("503 Draining", retrans=True)}
  <recv request="ACK"/>
</scenario>
"""


def _request(method: str, uri: str, cseq: int, to: str, rest: str, *, retrans: bool) -> str:
    routes = "[routes]" if cseq > 1 or method == "ACK" else ""
    return f"""
  <send{' retrans="500"' if retrans else ""}><![CDATA[
      {method} {uri} SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      {routes}
      From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]C[call_number]
      To: agent <sip:agent@[remote_ip]:[remote_port]>{to}
      Call-ID: [call_id]
      CSeq: {cseq} {method}
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70
      {rest}
  ]]></send>""".replace("      \n", "")


_NO_BODY = "Content-Length: 0\n"

CALLS = f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="calls">
{_request("INVITE", "sip:agent@[remote_ip]:[remote_port]", 1, "", _SDP, retrans=True)}
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rrs="true"/>
{_request("ACK", "[next_url]", 1, "[peer_tag_param]", _NO_BODY, retrans=False)}
  <pause/>
{_request("BYE", "[next_url]", 2, "[peer_tag_param]", _NO_BODY, retrans=True)}
  <recv response="200"/>
</scenario>
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One line of SIPp's log. `got`: it was received. `what`: a method or a status. `at`: on the wall clock."""

    at: float
    got: bool
    call: str
    what: str


@dataclass
class Sipp:
    """One SIPp process."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process | None = None

    async def start(self, scenario: str, *arguments: str) -> None:
        (self.folder / "scenario.xml").write_text(scenario)
        with (self.folder / "sipp.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(PROGRAM), *arguments, "-sf", str(self.folder / "scenario.xml"), "-i", "127.0.0.1",
                "-bind_local", "-p", str(self.port), "-mi", "127.0.0.1", "-mp", str(free_port()), "-nostdin",
                "-cp", str(free_port()), "-trace_shortmsg", "-shortmessage_file", str(self._log),
                cwd=self.folder, env={**os.environ, "TERM": "dumb"}, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def uri(self) -> str:
        return f"sip:127.0.0.1:{self.port}"

    @property
    def _log(self) -> Path:
        return self.folder / "messages.csv"

    def messages(self) -> tuple[Message, ...]:
        """What was sent and received until now."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        lines = (line.split("\t") for line in text.splitlines() if line.count("\t") == 6)
        return tuple(
            Message(float(at), direction == "R", call, words.removeprefix("SIP/2.0 ").split(" ")[0])
            for _, _, at, direction, call, _, words in lines
        )

    def calls(self, what: str = "INVITE") -> tuple[str, ...]:
        """The calls of which this was received, in order, each once."""
        return tuple(dict.fromkeys(each.call for each in self.messages() if each.got and each.what == what))

    async def done(self, *, within_s: float = 30.0) -> int:
        """Its exit code: 0 when every call went well."""
        assert self.process is not None
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def kill(self) -> None:
        """At once, as a machine is lost."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def _running() -> AsyncIterator[Sipp]:
    if PROGRAM is None:
        pytest.skip("Debian's sip-tester is not installed")
    with tempfile.TemporaryDirectory(prefix="holdfast-sipp-") as folder:
        sipp = Sipp(Path(folder), free_port())
        try:
            yield sipp
        finally:
            await sipp.kill()


@asynccontextmanager
async def takes_calls(*, port: int = 0, scenario: str = ANSWERS) -> AsyncIterator[Sipp]:
    """A region's side: it listens when this is entered."""
    async with _running() as sipp:
        sipp.port = port or sipp.port
        await sipp.start(scenario)
        await until(lambda: _listens(sipp.port))
        yield sipp


@asynccontextmanager
async def callers(to: int, *, calls: int, per_s: float, talk_ms: int = 0) -> AsyncIterator[Sipp]:
    """Somebody who calls so often, each call talking so long. Wait for `done`."""
    async with _running() as sipp:
        await sipp.start(
            CALLS, f"127.0.0.1:{to}", "-m", str(calls), "-r", str(per_s), "-d", str(talk_ms),
            "-l", str(calls), "-timeout", "60s", "-timeout_error", "-recv_timeout", "15000",
        )  # fmt: skip
        yield sipp


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X}"
    return any(line.split()[1:2] == [wanted] for line in Path("/proc/net/udp").read_text().splitlines())
