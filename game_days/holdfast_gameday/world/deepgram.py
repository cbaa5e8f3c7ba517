"""The simulated Deepgram that hears: who may open `wss://…/v1/listen` and `wss://…/v2/listen`, and how it refuses.

Beside them only `GET /v1/projects`, the cheap probe of a key. What a session says is in `deepgram_listen_v1` and
`deepgram_listen_v2`. It knows nothing of calls or regions. Serve it with `vendor_sockets.VendorSockets`.

https://developers.deepgram.com/docs/errors
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec

from holdfast_gameday.world import deepgram_listen_v1 as v1
from holdfast_gameday.world import deepgram_listen_v2 as v2
from holdfast_gameday.world.deepgram_listen import Pace, Refusal, Surroundings
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Session, Upgrade, Wire

PROJECTS_PATH = "/v1/projects"
PROJECT = "9d2a7c1e-3f60-4b52-9d2b-6a0c5d1f7e11"

_SAID = {
    400: ("Bad Request", "Bad Request"),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: (
        "ASR_PAYMENT_REQUIRED",
        "Project does not have enough credits for an ASR request and does not have an overage agreement.",
    ),
    403: ("INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."),
    404: ("NOT_FOUND", "Not Found"),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later"),
    500: ("INTERNAL_SERVER_ERROR", "Internal Server Error"),
    503: ("Service Unavailable", "Please try again later"),
}


class Deepgram:
    """`keys` maps an API key to the name by which faults and counts speak of it; all keys are of one project.

    `limit`: so many links at once on each endpoint, as the vendor counts them; None: any number.
    """

    kind = "deepgram"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        limit: int | None = None,
        record_messages: bool = False,
        on_message: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`on_message`: told every message in the moment in which it is sent."""
        self.messages: list[tuple[str, dict[str, Any]]] = []
        """The path and every message sent there, when asked for: tests check them."""
        self._keys = dict(keys)
        self._pace = pace
        self._limit = limit
        self._record_messages = record_messages
        self._on_message = on_message
        self._live: dict[str, set[str]] = {v1.PATH: set(), v2.PATH: set()}

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        request_id = str(uuid.uuid4())
        if asked.path not in (PROJECTS_PATH, *self._live):
            return _refused(404, request_id)
        # A Bearer token is one that was granted for a while; this project grants none.
        scheme, _, key = asked.headers.get("authorization", "").partition(" ")
        name = self._keys.get(key) if scheme.lower() == "token" else None
        if name is None:
            return _refused(401, request_id)
        if asked.path == PROJECTS_PATH:
            projects = {"projects": [{"project_id": PROJECT, "name": "practice"}]}
            return Answer(HTTPStatus.OK, projects, {"dg-request-id": request_id})
        try:
            begin = _begins(asked)
        except Refusal as refusal:
            return _unfit(asked.path, refusal, request_id)
        if self._limit is not None and len(self._live[asked.path]) >= self._limit:
            return _refused(429, request_id)
        return Admitted(
            name,
            lambda wire, _number: begin(self._around(wire, asked.path, request_id)),
            {"dg-request-id": request_id},
            unstored=asked.one("mip_opt_out") == "true",
        )

    def refusal(self, fault: Fault) -> Answer:
        return _refused(fault.status, str(uuid.uuid4()))

    def _around(self, wire: Wire, path: str, request_id: str) -> Surroundings:
        live = self._live[path]
        live.add(request_id)
        return Surroundings(
            wire=wire,
            request_id=request_id,
            pace=self._pace,
            sent=partial(self._sent, path),
            left=partial(live.discard, request_id),
        )

    def _sent(self, path: str, message: bytes) -> None:
        self._on_message(message)
        if self._record_messages:
            self.messages.append((path, msgspec.json.decode(message)))


def _begins(asked: Upgrade) -> Callable[[Surroundings], Session]:
    if asked.path == v2.PATH:
        turns = v2.asked_for(asked.query)
        return lambda around: v2.TurnSession(around, turns)
    results = v1.asked_for(asked.query)
    return lambda around: v1.ResultSession(around, results)


def _refused(status: int, request_id: str) -> Answer:
    code, message = _SAID.get(status) or (HTTPStatus(status).phrase, HTTPStatus(status).phrase)
    body = {"err_code": code, "err_msg": message, "request_id": request_id}
    return Answer(status, body, {"dg-request-id": request_id, "dg-error": message})


def _unfit(path: str, refusal: Refusal, request_id: str) -> Answer:
    headers = {"dg-request-id": request_id, "dg-error": refusal.description}
    if path == v2.PATH:
        return Answer(400, {"code": refusal.code, "description": refusal.description}, headers)
    body = {"err_code": refusal.code, "err_msg": refusal.description, "request_id": request_id}
    return Answer(400, body, headers)
