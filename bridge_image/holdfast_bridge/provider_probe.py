"""Probes of the keys that this pod holds, when the operator asks for one: the cheapest call that proves key and model.

A trial names a part of an attempt, and one row for each kind says how that is asked. No audio is sent and nothing is
spoken. When to probe is the operator's decision; a pod only refuses to do it more often than the vendor has room for.
The outcome is counted like a call's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import aiohttp

from holdfast_bridge import speech_codecs, stage_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.core.directive import Trial
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.provider_questions import (
    ANSWER_WITHIN_S,
    WELL,
    Ask,
    Lists,
    Opens,
    Said,
    Subject,
    beside,
    replies,
)
from holdfast_bridge.providers import HearingCodec, SpeakingCodec
from holdfast_bridge.settings import Settings
from holdfast_bridge.tallies import ProviderResults

Secret: TypeAlias = Callable[[Attempt, Settings], str]
"""What an attempt that is one socket is dialled with, the same for a call and for a probe."""
SILENCE_S = 60.0
REPLY_TOKENS = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How one kind is asked: the first question that decides counts. None at all: it lives in this process.

    `slot_s`: never more often than this, because vendors count connections.
    """

    asks: tuple[Ask, ...]
    slot_s: float = 5.0


PROBES: Mapping[str, Probe] = {
    # speech to speech
    "openai": Probe(asks=(Opens(first="session.created"),)),
    "azure-openai": Probe(asks=(Opens(first="session.created"),)),
    # Of thirty new connections a minute one is enough for this.
    "azure-voice-live": Probe(asks=(Opens(first="session.created"),), slot_s=60.0),
    # A session costs from its first second. Azure lists models, not deployments.
    "gpt-live": Probe(
        asks=(Lists(at=lambda url: beside(url, "/live/sessions", "/models", "")), Opens(begins=True))
    ),
    # Neither key nor model is judged before the first message; a session that is set up costs nothing.
    "gemini": Probe(asks=(Opens(begins=True),)),
    "loopback": Probe(asks=()),
    # hearing: the key and the model are judged with the upgrade
    "deepgram-flux": Probe(asks=(Opens(first="Connected"),)),
    "deepgram-nova": Probe(asks=(Opens(),)),
    # thinking
    "openai-chat": Probe(asks=(Lists(at=lambda url: beside(url, "/chat/completions", "/models")), replies)),
    "anthropic": Probe(asks=(Lists(at=lambda url: beside(url, "/messages", "/models", "limit=1000")), replies)),
    # Its list of models is at another host, and takes a right that no call needs.
    "bedrock": Probe(asks=(replies,)),
    # speaking: to prove Cartesia's model takes a spoken word, which would cost
    "elevenlabs": Probe(
        asks=(Lists(at=lambda url: beside(url, "/v1/text-to-speech", "/v1/models", ""), refuses=True), Opens())
    ),
    "deepgram-aura": Probe(asks=(Opens(),)),
    "cartesia": Probe(asks=(Opens(),)),
}
"""By the kinds of `speech_codecs` and of `stage_codecs`."""


def row_of(attempt: Attempt, part: str) -> Probe:
    stage = attempt.stages.get(part)
    return PROBES[attempt.kind if stage is None else stage.kind]


def subject_of(attempt: Attempt, part: str, settings: Settings, secret: Secret) -> Subject:
    """ProviderUnreachable while there is nothing to dial it with."""
    if attempt.kind != "cascade":
        codec = speech_codecs.codec_for(attempt, settings)
        url, headers = speech_codecs.address(attempt, settings, secret(attempt, settings))
        return Subject(
            url=url,
            headers=headers,
            model=attempt.model,
            opening=codec.opening,
            decode=lambda message, _binary: codec.decode(message),
        )
    stages = stage_codecs.stages(attempt, settings, call="probe")
    model = attempt.stages[part].model
    if part.endswith("/thinking"):
        thought = st.Thought(instructions="", history=(ev.SeedText("user", "Hello."),), max_tokens=REPLY_TOKENS)
        request = stages.thinking.request(thought, now=time.time())
        return Subject(
            url=request.url, headers=request.headers, model=model, body=request.body, reply=stages.thinking.reply
        )
    stage: HearingCodec | SpeakingCodec
    stage, at = stages.hearing, stages.hearing_at
    if part.endswith("/speaking"):
        stage, at = stages.speaking, stages.speaking_at
    return Subject(
        url=at.url,
        headers=at.headers,
        model=model,
        opening=stage.opening,
        decode=lambda message, binary: stage.decode(message, binary=binary),
    )


async def probe(subject: Subject, row: Probe, *, within_s: float = ANSWER_WITHIN_S) -> Said:
    """`within_s`: for each question."""
    for ask in row.asks:
        try:
            async with asyncio.timeout(within_s):
                said = await ask(subject)
        except ProviderUnreachable as error:
            return error.error_class, error.retry_after_s
        except TimeoutError:
            return "timeout", 0.0
        except (aiohttp.ClientError, OSError):
            return "connect", 0.0
        if said is not None:
            return said
    return WELL


class Prober:
    """Carries out the trials of the directive in force, one after the other, each once."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        trials: Callable[[], tuple[Trial, ...]],
        secret: Secret,
        results: ProviderResults,
        news: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._trials = trials
        self._secret = secret
        self._results = results
        self._news = news
        self._clock = clock
        self._stirred = asyncio.Event()
        self._done: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}

    def look(self) -> None:
        """There may be a new trial."""
        self._stirred.set()

    async def run(self) -> None:
        while True:
            self._stirred.clear()
            for trial in self._trials():
                if self._done.get(trial.attempt) != trial.number:
                    self._done[trial.attempt] = trial.number
                    await self._try(trial)
            await self._stirred.wait()

    async def _try(self, trial: Trial) -> None:
        settings, part = self._settings(), trial.attempt
        attempt = next((each for each in settings.agent.attempts if part in each.parts), None)
        if attempt is None or (part in attempt.key_files and not settings.provider_keys.get(part)):
            return
        if trial.silent and self._results.well_within(part, SILENCE_S):
            self._news()
            return
        row, now = row_of(attempt, part), self._clock()
        if now - self._asked_at.get(part, float("-inf")) < row.slot_s:
            return
        self._asked_at[part] = now
        try:
            subject = subject_of(attempt, part, settings, self._secret)
        except ProviderUnreachable as error:
            word, retry_after_s = error.error_class, error.retry_after_s
        else:
            word, retry_after_s = await probe(subject, row)
        log.info("provider probed", extra={"attempt": part, "error": word})
        self._results.add(part, not word, word, retry_after_s)
        self._news()
