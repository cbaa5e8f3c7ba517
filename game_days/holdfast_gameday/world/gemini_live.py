"""The simulated Gemini Live API, as the developer API has it and as Vertex AI has it: who is let in, and where.

Beside it only the list of models, the cheap probe of a key. A wrong API key is told after the first message, by a
close, as the vendor does; a wrong token of Vertex at once. What a session says is in `gemini_session`.

https://ai.google.dev/api/live
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from holdfast_gameday.world.gemini_session import House, Limits, Model, Session
from holdfast_gameday.world.speaking_sound import Pace
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

MODELS: Mapping[str, Model] = {
    "gemini-3.8-live": Model(),
    "gemini-3.1-flash-live-preview": Model(content_only_as_history=True, waits_after_tools=True),
    "gemini-live-2.5-flash-native-audio": Model(no_audio_during_tools=True, demands_signatures=False, together=False),
}
_DEVELOPER = re.compile(
    r"/ws/google\.ai\.generativelanguage\.(v1|v1alpha|v1beta)\.GenerativeService\.BidiGenerateContent"
)
_VERTEX = re.compile(r"/ws/google\.cloud\.aiplatform\.(v1|v1beta1)\.LlmBidiService/BidiGenerateContent")
_LIST = re.compile(r"/(v1|v1beta)/models")
_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
             429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}  # fmt: skip
_WRONG_KEY = "API key not valid. Please pass a valid API key."
_NO_KEY = "Method doesn't allow unregistered callers (callers without established identity)."


class GeminiLive:
    """`keys` are API keys and `tokens` Vertex access tokens, each with the name by which faults and counts speak of it.

    A `vendor_sockets.Vendor`.
    """

    kind = "gemini-live"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        tokens: Mapping[str, str] | None = None,
        models: Mapping[str, Model] = MODELS,
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        waits_for_playback: bool = True,
    ) -> None:
        self._keys = dict(keys)
        self.tokens = dict(tokens or {})
        """May be changed while it serves, as tokens come and end."""
        self._house = House(models=models, pace=pace, limits=limits, waits_for_playback=waits_for_playback)

    @property
    def stored(self) -> int:
        """Sessions that are kept, so that they could be resumed."""
        return len(self._house.kept)

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        key = asked.one("key") or asked.headers.get("x-goog-api-key", "")
        if found := _DEVELOPER.fullmatch(asked.path):
            if unknown := sorted(set(asked.query) - {"key", "alt"}):
                return _refused(400, f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot bind.')
            return self._developer(key, found[1])
        if found := _VERTEX.fullmatch(asked.path):
            return self._vertex(asked.headers.get("authorization", ""), found[1])
        if _LIST.fullmatch(asked.path):
            return self._list(self._keys[key]) if key in self._keys else _refused(400, _WRONG_KEY)
        return _refused(404, "The requested URL was not found on this server.")

    def refusal(self, fault: Fault) -> Answer:
        return _refused(fault.status, "Refused on demand.")

    def _developer(self, key: str, version: str) -> Admitted:
        if key not in self._keys:
            code, reason = (1007, _WRONG_KEY) if key else (1008, _NO_KEY)
            return Admitted("", lambda wire, _number: _Stranger(wire, code, reason))
        name = self._keys[key]
        return Admitted(name, lambda wire, number: self._session(wire, number, vertex=False, version=version))

    def _vertex(self, authorization: str, version: str) -> Admitted | Answer:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token not in self.tokens:
            return _refused(401, "Request had invalid authentication credentials. Expected OAuth 2 access token.")
        name = self.tokens[token]
        return Admitted(name, lambda wire, number: self._session(wire, number, vertex=True, version=version))

    def _session(self, wire: Wire, number: int, *, vertex: bool, version: str) -> Session:
        return Session(wire, number, house=self._house, vertex=vertex, version=version)

    def _list(self, key_name: str) -> Answer:
        listed = [
            {"name": f"models/{name}", "supportedGenerationMethods": ["bidiGenerateContent"]}
            for name in self._house.models
        ]
        return Answer(HTTPStatus.OK, {"models": listed}, key_name=key_name)


class _Stranger:
    """Somebody with a wrong key: let in, and closed at the first word."""

    def __init__(self, wire: Wire, code: int, reason: str) -> None:
        self._wire = wire
        self._code = code
        self._reason = reason

    def open(self) -> None:
        """Nothing is said first."""

    def receive(self, message: bytes, *, binary: bool) -> None:  # noqa: ARG002 - whatever it is
        self._wire.leave(self._code, self._reason)

    def fail(self, fault: Fault | None) -> None:
        """It fares no worse."""

    def close(self) -> None:
        """There is no timer."""


def _refused(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}})
