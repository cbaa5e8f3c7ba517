"""The same stages behind a real bridge process, called by a simulated carrier."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast_gameday.bench_latency import stages, talk
from holdfast_gameday.bench_latency.figures import Heard
from holdfast_gameday.matrix import bridges
from holdfast_gameday.matrix.entry import Entry
from holdfast_gameday.world.callers import Callers
from holdfast_gameday.world.callers_script import Listen
from holdfast_gameday.world.twilio import TwilioSettings, TwilioSim
from holdfast_gameday.world.twilio_stream import StreamOptions

ACCOUNT = "AC" + "0" * 31 + "8"
AUTH_TOKEN = "the-carriers-token"  # noqa: S105 - of the practice range
HOST = "bridge.latency.example"
NUMBER = "+493015550100"


@dataclass(frozen=True, slots=True)
class Tls:
    """`authority`: a file that bridges trust; `server` and `client`: contexts of the same authority."""

    authority: Path
    server: ssl.SSLContext
    client: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Line:
    """A number that reaches the bridge."""

    callers: Callers
    at: stages.Stages
    sounds_at: dict[str, list[float]]
    """By call: when sound came into its silence."""

    async def call(self, number: int, turns: int) -> list[Heard]:
        call = self.callers.place(NUMBER, (Listen(), *talk.turns(f"caller {number}", turns)))
        await call.over.wait()
        report = call.report()
        return talk.heard(report.turns, self.sounds_at[call.sid], self.at)


@asynccontextmanager
async def bridged(at: stages.Stages, tls: Tls, folder: Path) -> AsyncIterator[Line]:
    sounds_at: dict[str, list[float]] = defaultdict(list)
    clock = asyncio.get_running_loop().time
    streams = StreamOptions(on_sound=lambda call: sounds_at[call].append(clock()))
    twilio = TwilioSim(TwilioSettings(names={HOST: "127.0.0.1"}, trust=tls.client, streams=streams))
    twilio.state.add_account(ACCOUNT, auth_token=AUTH_TOKEN)
    async with (
        Entry().serving(tls.server) as entry,
        twilio.serving("127.0.0.1", 0, ssl_context=tls.server) as carrier,
    ):
        assert carrier.address is not None
        host = f"{HOST}:{entry.port}"
        attempt = {
            "name": "cascade", "kind": "cascade",
            "hearing": {"kind": "deepgram-flux", "baseUrl": f"ws://{at.ear}", "model": "flux-general-en"},
            "thinking": {"kind": "openai-chat", "baseUrl": f"http://{at.model}/v1", "model": stages.MODEL},
            "speaking": {
                "kind": "elevenlabs", "baseUrl": f"ws://{at.voice}", "model": stages.VOICE_MODEL,
                "voice": stages.VOICE,
            },
        }  # fmt: skip
        given = bridges.Given(
            host=host,
            attempts=((attempt, dict.fromkeys(("hearing", "thinking", "speaking"), stages.KEY)),),
            persona={"instructions": "Be kind.", "greeting": "Hello there!", "language": "en"},
            tools=({**stages.BOOK, "url": at.tool_url, "timeoutMs": 3000, "networks": bridges.LOOPBACK},),
            account=ACCOUNT,
            auth_token=AUTH_TOKEN,
            carrier_url=f"https://localhost:{carrier.address.port}",
            trust=tls.authority,
        )
        async with bridges.bridge(given, folder / f"{time.time_ns():x}") as ports:
            entry.bridges[HOST] = ports
            account = twilio.state.accounts[ACCOUNT]
            application = twilio.state.add_application(
                account, friendly_name=HOST, voice_url=f"https://{host}/a/matrix/agent/voice"
            )
            twilio.state.add_number(account, NUMBER, voice_application_sid=application.sid)
            yield Line(Callers(twilio), at, sounds_at)
