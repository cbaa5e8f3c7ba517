"""A real Kamailio on loopback: written, started, asked and stopped by the test that needs it.

It has what a session border controller in front of the bridges has: a dispatcher group with the pinger, record-route,
and a failure route that goes on to the next destination on 408 and 5xx. One worker only: two may pass on 180 and 200
of one call in the other order, and SIPp then takes its route set from the wrong one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast_gameday.world.ports import free_port

PROGRAM = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MODULES = "tm tmx sl rr pv textops siputils xhttp jsonrpcs htable dispatcher"
TOKEN = "Bearer t0ken"
CONSOLE = "Bearer the-tests-own"
START_S = 15.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the public authorities takes longer than the request

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
listen=udp:127.0.0.1:{sip}
listen=tcp:127.0.0.1:{sip}
listen=tcp:127.0.0.1:{rpc}
tcp_accept_no_cl=yes
{loads}
modparam("jsonrpcs", "transport", 1)
modparam("htable", "htable", "holdfast=>size=4;")
modparam("htable", "htable", "tokens=>size=4;")
modparam("tm", "fr_timer", {no_answer_ms})
modparam("tm", "fr_inv_timer", 60000)
modparam("dispatcher", "list_file", "{list_file}")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "reload_delta", 0)
modparam("dispatcher", "xavp_dst", "_dsdst_")
modparam("dispatcher", "xavp_ctx", "_dsctx_")
modparam("dispatcher", "ds_ping_interval", {ping_s})
modparam("dispatcher", "ds_ping_method", "OPTIONS")
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 2)

event_route[xhttp:request] {{
    if ($hdr(Authorization) != "{console}" && ($sht(tokens=>revoked) != $null || $hdr(Authorization) != "{token}")) {{
        xhttp_reply("401", "Unauthorized", "text/plain", "no");
        exit;
    }}
    jsonrpc_dispatch();
}}

request_route {{
    if (is_method("OPTIONS") && uri == myself) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{
            t_relay();
        }} else if (is_method("ACK") && t_check_trans()) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            sl_send_reply("404", "Not Here");
        }}
        exit;
    }}
    t_check_trans();
    if (!is_method("INVITE")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
    record_route();
    if (!ds_select_dst("1", "8")) {{
        sl_send_reply("503", "No Destination");
        exit;
    }}
    t_on_failure("NEXT");
    t_relay();
}}

failure_route[NEXT] {{
    if (t_is_canceled()) exit;
    if (t_check_status("408|5[0-9][0-9]") && ds_next_dst()) {{
        t_on_failure("NEXT");
        t_relay();
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One destination in the list. A higher priority is asked first."""

    port: int
    region: str
    priority: int = 0
    flags: int = 0
    group: int = 1
    attributes: str = ""

    @property
    def uri(self) -> str:
        return f"sip:127.0.0.1:{self.port}"

    def __str__(self) -> str:
        attributes = self.attributes or f"mark=holdfast:eu/{self.region}"
        return f"{self.group} {self.uri} {self.flags} {self.priority} {attributes}"


@dataclass
class RealKamailio:
    """One proxy. What is asked here is asked by the test itself, past the code under test."""

    folder: Path
    sip: int = field(default_factory=free_port)
    rpc: int = field(default_factory=free_port)
    ping_s: int = 0
    no_answer_ms: int = 700
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rpc}/RPC"

    @property
    def list_file(self) -> Path:
        return self.folder / "dispatcher.list"

    def write_list(self, *lines: Line) -> None:
        text = "# setid destination flags priority attrs\n" + "".join(f"{line}\n" for line in lines)
        self.list_file.write_text(text)

    async def start(self) -> None:
        """Returns when it answers."""
        loads = f'mpath="{_modules()}"\n' + "".join(f'loadmodule "{each}.so"\n' for each in MODULES.split())
        config = self.folder / "kamailio.cfg"
        config.write_text(
            CONFIG.format(
                sip=self.sip, rpc=self.rpc, loads=loads, list_file=self.list_file, ping_s=self.ping_s,
                no_answer_ms=self.no_answer_ms, token=TOKEN, console=CONSOLE,
            )
        )  # fmt: skip
        with (self.folder / "kamailio.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(PROGRAM), "-f", str(config), "-DD", "-E", "-m", "32", "-M", "4",
                "-w", str(self.folder), "-Y", str(self.folder),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(START_S):
            while not await self._answers():
                if self.process.returncode is not None:
                    raise AssertionError((self.folder / "kamailio.log").read_text()[-3000:])
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            await self.ask("core.version")
        except (httpx.HTTPError, AssertionError):
            return False
        return True

    async def stop(self) -> None:
        """Ends it and all of its children."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(30):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def ask(self, method: str, *params: str | int) -> Any:
        body = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        headers = {"Connection": "close", "Authorization": CONSOLE}
        async with httpx.AsyncClient(timeout=5, verify=NO_TLS) as http:
            answer = await http.post(self.url, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def state(self, port: int) -> str:
        """The letters that Kamailio shows for one destination."""
        listed = await self.ask("dispatcher.list")
        targets = [each["DEST"] for record in listed["RECORDS"] for each in record["SET"]["TARGETS"]]
        (flags,) = [each["FLAGS"] for each in targets if each["URI"] == f"sip:127.0.0.1:{port}"]
        return str(flags)


def _modules() -> str:
    found = next(Path("/usr/lib").glob("*/kamailio/modules"), None)
    return f"{found or Path('/usr/lib/kamailio/modules')}/"


@asynccontextmanager
async def kamailio(*lines: Line, **settings: Any) -> AsyncIterator[RealKamailio]:
    """A running one with this list, gone with its folder afterwards."""
    if PROGRAM is None:
        pytest.skip("Debian's kamailio is not installed")
    with tempfile.TemporaryDirectory(prefix="holdfast-kamailio-") as folder:
        proxy = RealKamailio(Path(folder), **settings)
        proxy.write_list(*lines)
        try:
            await proxy.start()
            yield proxy
        finally:
            await proxy.stop()


async def until(holds: Callable[[], Any], *, within_s: float = 30) -> None:
    """Ask a real program again and again; nothing in this process sets an event."""
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.01)
