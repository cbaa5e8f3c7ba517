"""The simulated Azure Voice Live: `wss://…/voice-live/realtime?api-version=…&model=…`, one resource.

It owns the address, the keys and the resource's limits: so many new connections a minute, so long a session. What a
session says is in `openai_session`, and how it is worded in `azure_voice_live_dialect`.

https://learn.microsoft.com/azure/ai-services/speech-service/voice-live-api-reference-2026-04-10
"""

from __future__ import annotations

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping

from holdfast_gameday.world.azure_openai import DENIED, refused
from holdfast_gameday.world.azure_voice_live_dialect import VoiceLiveDialect
from holdfast_gameday.world.openai_realtime import SESSION_S_MAX, RealtimeLink
from holdfast_gameday.world.openai_response import Pace
from holdfast_gameday.world.openai_session import Dialect, Identity
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

PATH = "/voice-live/realtime"
API_VERSIONS = (
    "2025-05-01-preview", "2025-10-01", "2026-01-01-preview", "2026-04-10", "2026-06-01-preview", "2026-07-15",
)  # fmt: skip
CONNECTIONS_PER_MINUTE = 30
AGENT_MODEL = "gpt-4.1"
_MINUTE_S = 60.0


class AzureVoiceLive:
    """`keys` and `tokens` (of Entra) map what a client shows to the name by which faults and counts speak of it.

    `clock` counts the minute of the limit, in seconds.
    """

    kind = "azure-voice-live"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        tokens: Mapping[str, str] | None = None,
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        connections_per_minute: int = CONNECTIONS_PER_MINUTE,
        session_s: float = SESSION_S_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = dict(keys)
        self._tokens = dict(tokens or {})
        self._pace = pace
        self._limit = connections_per_minute
        self._session_s = session_s
        self._clock = clock
        self._opened: deque[float] = deque(maxlen=connections_per_minute)
        self._prefix = secrets.token_hex(3)

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        if asked.path != PATH:
            return refused(404, "404", "Resource not found")
        name = self._name(asked)
        if name is None:
            return refused(401, "401", DENIED)
        version = asked.one("api-version")
        if version not in API_VERSIONS:
            return refused(400, "BadRequest", f"API version not supported: '{version}'.")
        model = self._model(asked)
        if not model:
            return refused(400, "BadRequest", "Either model, or agent-name and agent-project-name, is required.")
        now = self._clock()
        if len(self._opened) == self._limit and now - self._opened[0] < _MINUTE_S:
            wait_s = math.ceil(_MINUTE_S - (now - self._opened[0]))
            return refused(429, "429", f"Rate limit is exceeded. Try again in {wait_s} seconds.", retry_after_s=wait_s)
        self._opened.append(now)
        return Admitted(name, lambda wire, number: self._link(wire, number, model, version))

    def refusal(self, fault: Fault) -> Answer:
        return refused(fault.status, fault.error_code, "Refused on demand.", retry_after_s=fault.retry_after_s)

    def _name(self, asked: Upgrade) -> str | None:
        """A key or a token, in a header or in the query. An agent of Foundry is asked for with a token only."""
        key = asked.headers.get("api-key") or asked.one("api-key")
        if key:
            return None if asked.one("agent-name") else self._keys.get(key)
        scheme, _, token = (asked.headers.get("authorization") or asked.one("Authorization")).partition(" ")
        return self._tokens.get(token) if scheme == "Bearer" else None

    def _model(self, asked: Upgrade) -> str:
        """An agent brings its own model, and we have one for all of them."""
        if asked.one("agent-name") and asked.one("agent-project-name"):
            return AGENT_MODEL
        return asked.one("model")

    def _link(self, wire: Wire, number: int, model: str, version: str) -> RealtimeLink:
        who = Identity(number, self._prefix, model, int(time.time() + self._session_s))
        worded = VoiceLiveDialect(who, api_version=version)
        dialect = Dialect(inward=worded.inward, outward=worded.outward)
        return RealtimeLink(wire, who, pace=self._pace, dialect=dialect, session_s=self._session_s)
