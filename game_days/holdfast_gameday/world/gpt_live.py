"""The simulated OpenAI GPT-Live on `vendor_sockets`: `wss://…/v1/live/sessions`, bearer keys, faults on demand.

Beside it `…/v1/live/sessions/{id}/fork` for sessions that were started with `store: true`, and `GET /v1/models`, the
cheap probe of a key. With `azure` it is Azure v1: the same under /openai, with the header `api-key`, and models are the
deployments of one resource.

It owns paths, keys and the names of models; what a session says is in `gpt_live_session`.

https://learn.microsoft.com/azure/foundry/openai/gpt-live-reference
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from holdfast_gameday.world.gpt_live_mouth import Pace
from holdfast_gameday.world.gpt_live_session import Event, Session, Stored, Surroundings
from holdfast_gameday.world.openai_errors import Refusal
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

MODELS = ("gpt-live-1", "gpt-live-1.1")
BACKENDS = ("gpt-5.5", "gpt-5.4-mini")
SESSION_S_MAX = 7_200.0


class GptLive:
    """Implements `vendor_sockets.Vendor`. `keys` maps a key to the name by which faults and counts speak of it."""

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        models: Collection[str] = MODELS,
        backends: Collection[str] = BACKENDS,
        azure: bool = False,
        session_s: float = SESSION_S_MAX,
        acknowledgement: str = "",
        clock: Callable[[], float] = time.monotonic,
        record_events: bool = False,
    ) -> None:
        """`acknowledgement`: what the model says while the backend works, which the real one may always do."""
        self.kind = "azure-gpt-live" if azure else "gpt-live"
        self.events: list[Event] = []  # every server event but sound, when asked for: tests check them
        self._keys = dict(keys)
        self._pace = pace
        self._models = frozenset(models)
        self._backends = frozenset(backends)
        self._azure = azure
        self._base = "/openai/v1" if azure else "/v1"
        self._session_s = session_s
        self._acknowledgement = acknowledgement
        self._clock = clock
        self._record_events = record_events
        self._prefix = secrets.token_hex(3)
        self._kept: dict[str, Stored] = {}

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        sessions = f"{self._base}/live/sessions"
        stored = asked.path.removeprefix(f"{sessions}/").removesuffix("/fork")
        forks = asked.path == f"{sessions}/{stored}/fork"
        if not forks and asked.path not in (sessions, f"{self._base}/models"):
            return _refused(HTTPStatus.NOT_FOUND, None, "Unknown request URL.")
        name = self._keys.get(self._key(asked.headers))
        if name is None:
            return _refused(HTTPStatus.UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.")
        if asked.path == f"{self._base}/models":
            return self._listed()
        if asked.query:
            unknown = next(iter(asked.query))
            return _refused(HTTPStatus.BAD_REQUEST, "unknown_parameter", f"Unknown parameter: '{unknown}'.")
        if forks and stored not in self._kept:
            return _refused(HTTPStatus.NOT_FOUND, "session_not_found", f"No stored session '{stored}'.")
        origin = self._kept[stored] if forks else None
        return Admitted(name, lambda wire, number: self._session(wire, number, origin))

    def refusal(self, fault: Fault) -> Answer:
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.status == HTTPStatus.TOO_MANY_REQUESTS else {}
        return _refused(fault.status, fault.error_code, "Refused on demand.", kind=fault.error_type, headers=headers)

    def _key(self, headers: Mapping[str, str]) -> str:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        bearer = key if scheme == "Bearer" else ""
        return headers.get("api-key", bearer) if self._azure else bearer

    def _session(self, wire: Wire, number: int, origin: Stored | None) -> Session:
        started_at = int(time.time())
        return Session(
            Surroundings(
                wire=wire, clock=self._clock, number=number, session=f"live_{self._prefix}{number:04x}",
                started_at=started_at, expires_at=started_at + int(self._session_s), session_s=self._session_s,
                pace=self._pace, check_models=self._check_models, sent=self._sent,
                acknowledgement=self._acknowledgement, fork_of=origin, kept=self._kept,
            )
        )  # fmt: skip

    def _check_models(self, settings: Mapping[str, Any]) -> None:
        backend = (settings["delegation"].get("responses") or {}).get("model")
        named = [("session.model", settings["model"], self._models)]
        if backend is not None:
            named.append(("session.delegation.responses.model", backend, self._backends))
        for param, model, known in named:
            if model not in known:
                message = f"The model '{model}' does not exist or you do not have access to it."
                raise Refusal(message, "DeploymentNotFound" if self._azure else "model_not_found", param)

    def _sent(self, event: Event) -> None:
        if self._record_events:
            self.events.append(json.loads(json.dumps(event)))

    def _listed(self) -> Answer:
        listed = [
            {"id": name, "object": "model", "created": 1_756_000_000, "owned_by": "practice"}
            for name in sorted(self._models | self._backends)
        ]
        return Answer(HTTPStatus.OK, {"object": "list", "data": listed})


def _refused(
    status: int,
    code: str | None,
    message: str,
    *,
    kind: str = "invalid_request_error",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Answer(status, body, headers or {})
