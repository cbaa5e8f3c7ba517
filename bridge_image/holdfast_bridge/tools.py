"""Tool webhooks: what the model asks of a tool becomes a POST, signed and bounded. Whatever goes wrong is its output.

    arguments ─► schema ─► kept answer, or the same question under way ─► try ─► again, by core.retries ─► output

It knows neither calls in progress nor the journal: who may call a tool, and when, was decided before. How each webhook
behaved is told to `on_result`, once a question, in the few kinds that people must tell apart.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from itertools import count
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from holdfast_bridge import http_out
from holdfast_bridge.agent_config import Tool
from holdfast_bridge.core import addresses, retries, webhook_signature
from holdfast_bridge.core.kept_answers import KeptAnswers, Question
from holdfast_bridge.core.retries import Met, Tried
from holdfast_bridge.core.tool_schema import ARGUMENTS_BYTES_MAX, ToolSchema, WrongSchema
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.settings import Settings
from holdfast_bridge.tool_connections import CONNECT_WITHIN_S, ForbiddenAddress, ToolConnections

MAX_OUTPUT_BYTES = 16 * 1024

NOT_IN_TIME = "the tool did not answer in time; whether it took effect is not known"
NOT_REACHED = "the tool could not be reached"
LOST = "the connection to the tool was lost; whether it took effect is not known"
FORBIDDEN = "the tool may not be asked: its address is not one that this agent may reach"
UNSIGNED = "the tool may not be asked: the secret that signs the request is missing"
NOT_CHECKED = "the tool may not be asked: its parameters cannot be used to check the arguments"

log = logging.getLogger(__name__)


class ToolFailure(Enum):
    """How a webhook failed: the words of the report to the operator. What a call asked wrongly is no failure of it."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TOO_LONG = "too-long"
    RATE_LIMITED = "429"
    REFUSED = "refused"
    FORBIDDEN = "forbidden-address"
    """It lies where the agent's policy does not let tools go; it was not asked."""
    UNSIGNED = "unsigned"
    """Its requests are to be signed and the secret is not there; it was not asked."""


OnResult = Callable[[str, ToolFailure | None], None]
_ASKED_WRONGLY = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question. `until`: when its answer must be there, by the runner's clock."""

    tool: Tool
    key: str
    body: bytes
    until: float


@dataclass(frozen=True, slots=True)
class _Answer:
    output: str
    failure: ToolFailure | None
    met: Met = Met.OTHER
    asked_to_wait_s: float | None = None
    good: bool = False
    """Only what answers the question may be kept for the next one."""


class ToolRunner:
    """`on_result`: told of every question that was asked, with None for a good answer. `secrets`: a tool's, as mounted.

    `clock` never goes back; `wall` is seconds since 1970; `die` gives numbers in [0, 1).
    """

    def __init__(
        self,
        connections: ToolConnections,
        *,
        on_result: OnResult = lambda _tool, _failure: None,
        secrets: Callable[[str], tuple[str, ...]] = lambda _tool: (),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        die: Callable[[], float] = random.random,
    ) -> None:
        self._connections = connections
        self._on_result = on_result
        self._secrets = secrets
        self._clock = clock
        self._wall = wall
        self._die = die
        self._budget = retries.Budget()
        self._kept = KeptAnswers()
        self._going: dict[Question, asyncio.Future[str | None]] = {}

    async def run(self, tool: Tool, *, call: str, key: str, arguments: str) -> str:
        """The output for the model: the webhook's answer, or an object with `error`."""
        try:
            given = _given(tool, arguments)
        except WrongSchema:
            log.exception("tool's schema not usable", extra={"tool": tool.name})
            return _error(NOT_CHECKED)
        if isinstance(given, str):
            return _error(given)
        asked = _Asked(
            tool=tool,
            key=f"{call}/{key}",
            body=msgspec.json.encode({"call": call, "tool": tool.name, "arguments": given}),
            until=self._clock() + tool.timeout_ms / 1000,
        )
        if not tool.cache_seconds or tool.side_effects:
            return (await self._ask(asked)).output
        canonical = msgspec.json.encode(given, order="deterministic")
        return await self._shared(asked, Question(tool.name, tool.url, canonical))

    # --- one question

    async def _shared(self, asked: _Asked, question: Question) -> str:
        """A kept answer, or that of an equal question which is under way, or one's own, which others may wait for."""
        if (kept := self._kept.find(question, now=self._clock())) is not None:
            return kept
        while (going := self._going.get(question)) is not None:
            try:
                async with asyncio.timeout(asked.until - self._clock()):
                    told = await asyncio.shield(going)
            except TimeoutError:
                return _error(NOT_IN_TIME)
            if told is not None:
                return told
        going = self._going[question] = asyncio.get_running_loop().create_future()
        output: str | None = None
        try:
            answer = await self._ask(asked)
            output = answer.output
        finally:  # The call that asked may have ended meanwhile: then one of those who wait asks.
            del self._going[question]
            going.set_result(output)
        if answer.good:
            self._kept.keep(question, output, until=self._clock() + asked.tool.cache_seconds)
        return output

    async def _ask(self, asked: _Asked) -> _Answer:
        tool = asked.tool
        self._budget.earn()
        for number in count(1):
            answer = await self._try(asked)
            tried = Tried(answer.met, number, answer.asked_to_wait_s)
            left_s = asked.until - self._clock()
            pause_s = retries.pause_s(tried, left_s=left_s, side_effects=tool.side_effects, die=self._die())
            if pause_s is None or not self._budget.spend():
                break
            log.info("tool asked again", extra={"tool": tool.name, "met": answer.met.value, "try": number + 1})
            await asyncio.sleep(pause_s)
        self._on_result(tool.name, answer.failure)
        if answer.failure is not None:
            log.warning("tool failed", extra={"tool": tool.name, "failure": answer.failure.value, "tries": number})
        return answer

    async def _try(self, asked: _Asked) -> _Answer:
        tool = asked.tool
        keys = [key for secret in self._secrets(tool.name) if (key := webhook_signature.key(secret)) is not None]
        if tool.signing_files and not keys:
            return _failed(UNSIGNED, ToolFailure.UNSIGNED)
        headers = {"Content-Type": "application/json", "Idempotency-Key": asked.key}
        headers |= webhook_signature.headers(asked.key, asked.body, wall_s=self._wall(), keys=keys)
        within = aiohttp.ClientTimeout(connect=CONNECT_WITHIN_S)
        try:
            session = self._connections.session(tool)
            async with (
                asyncio.timeout(asked.until - self._clock()),
                session.post(
                    tool.url, data=asked.body, headers=headers, allow_redirects=False, timeout=within
                ) as answer,
            ):
                return await _read(answer)
        except (aiohttp.ClientError, TimeoutError, ForbiddenAddress, ValueError) as error:
            log.info("tool did not answer", extra={"tool": tool.name, "error": type(error).__name__})
            return _unanswered(error)


def prove(settings: Settings) -> None:
    """SettingsError when a tool could not be asked as it is written: said at start, not in a call."""
    for index, tool in enumerate(settings.agent.tools):
        field = f"agent.json: tools[{index}] ({tool.name})"
        if not _can_be_asked(tool.url):
            raise SettingsError(f"{field}.url must be http:// or https:// with a host and without credentials")
        if tool.cache_seconds and tool.side_effects:
            raise SettingsError(f"{field}.cacheSeconds: a tool with side effects has no answer that could be kept")
        try:
            addresses.networks(tool.networks)
        except ValueError as error:
            raise SettingsError(f"{field}.networks: {error}") from error
        try:
            _schema(msgspec.json.encode(tool.parameters))
        except WrongSchema as error:
            raise SettingsError(f"{field}.parameters: {error}") from error


def _can_be_asked(written: str) -> bool:
    try:
        url = URL(written)
    except ValueError:
        return False
    return url.scheme in {"https", "http"} and bool(url.host) and url.user is None and url.password is None


@functools.lru_cache(maxsize=128)
def _schema(text: bytes) -> ToolSchema:
    """Proved once: an edit of something else costs the calls in progress nothing."""
    return ToolSchema(msgspec.json.decode(text))


def _given(tool: Tool, arguments: str) -> Mapping[str, Any] | str:
    """The arguments, or what is wrong with them."""
    if len(arguments.encode(errors="replace")) > ARGUMENTS_BYTES_MAX:
        return f"the arguments are longer than {ARGUMENTS_BYTES_MAX} bytes, so the tool was not asked"
    try:
        given = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return "the arguments are not a JSON object"
    problem = _schema(msgspec.json.encode(tool.parameters)).problem(given)
    return f"the arguments do not fit the tool's parameters, so it was not asked: {problem}" if problem else given


async def _read(answer: aiohttp.ClientResponse) -> _Answer:
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        met = Met.BUSY if answer.status in retries.BUSY_STATUSES else Met.OTHER
        said, wait_s = _error(f"the tool answered with status {answer.status}"), answer.headers.get("Retry-After", "")
        return _Answer(said, _said_by(answer.status), met, retries.wait_s(wait_s))
    raw = await http_out.whole(answer, MAX_OUTPUT_BYTES + 1)
    if len(raw) > MAX_OUTPUT_BYTES:
        return _failed("the tool's answer is too long", ToolFailure.TOO_LONG)
    return _Answer(raw.decode("utf-8", "replace"), None, good=True)


def _unanswered(error: Exception) -> _Answer:
    """What became of a request that has no answer. Where no connection came about, nothing was sent."""
    if isinstance(error, ForbiddenAddress) or isinstance(error.__cause__, ForbiddenAddress):
        return _failed(FORBIDDEN, ToolFailure.FORBIDDEN)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ValueError):
        return _failed(NOT_REACHED, ToolFailure.UNREACHABLE)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return _failed(NOT_REACHED, ToolFailure.UNREACHABLE, Met.NOT_CONNECTED)
    if isinstance(error, TimeoutError):
        return _failed(NOT_IN_TIME, ToolFailure.TIMEOUT)
    return _failed(LOST, ToolFailure.UNREACHABLE, Met.LOST)


def _said_by(status: int) -> ToolFailure | None:
    if status in _ASKED_WRONGLY:
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ToolFailure.RATE_LIMITED
    return ToolFailure.ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ToolFailure.REFUSED


def _failed(text: str, failure: ToolFailure, met: Met = Met.OTHER) -> _Answer:
    return _Answer(_error(text), failure, met)


def _error(text: str) -> str:
    return msgspec.json.encode({"error": text}).decode()
