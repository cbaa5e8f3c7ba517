"""The ways in which a speech provider is asked whether it is well, without a call: by a link, by a list, by a reply.

Each asks one part of an attempt as a call would and makes one answer of it, in the words of `core.failures`. Which kind
is asked how, and when, is `provider_probe`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from holdfast_bridge import http_out, provider_link
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import Reply

ANSWER_WITHIN_S = 2.0
LISTED_WITHIN_S = 1.0
OBJECTS_WITHIN_S = 0.25
"""A vendor that says nothing first closes a link that it does not like within this."""
MAX_REFUSAL_BYTES = 4_096
MAX_LIST_BYTES = 512 * 1024

Said: TypeAlias = tuple[str, float]
"""Empty when it is well, else the word for its failure; and how many seconds the provider asks us to wait."""
WELL: Said = ("", 0.0)

_MAY_NOT_LIST = "missing_permissions"
"""ElevenLabs' word for a key that is right and may speak, but not read lists."""
_NO_LIST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""A gateway need not have one."""
_OF_A_REPLY = frozenset({"accept", "content-type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One part of an attempt, as a call uses it: a link to be opened, or a request to be sent."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    model: str
    opening: Callable[[], list[bytes]] = list
    """What a call says first on the link."""
    decode: Callable[[bytes, bool], Iterable[object]] = lambda _message, _binary: ()
    """What a call makes of a message; whether it was binary."""
    body: bytes = field(default=b"", repr=False)
    reply: Callable[[], Reply] | None = None


Ask: TypeAlias = Callable[[Subject], Awaitable[Said | None]]
"""One question; None when the answer decides nothing."""


# --- by a link


@dataclass(frozen=True, slots=True, kw_only=True)
class Opens:
    """A link is opened as a call opens it, and closed.

    `first`: what the vendor says first. `begins`: say what a call says first, until the vendor is ready. Neither: it is
    enough that the link opens and stays.
    """

    first: str = ""
    begins: bool = False

    async def __call__(self, subject: Subject) -> Said | None:
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def settle(word: str | None) -> None:
            if word is not None and not outcome.done():
                outcome.set_result(word)

        link = await provider_link.dial(
            subject.url,
            subject.headers,
            on_message=lambda message: settle(self._heard(subject, message, binary=False)),
            on_binary=lambda message: settle(self._heard(subject, message, binary=True)),
            on_lost=lambda word, _retry_same: settle(_against(word)),
            timeout_s=ANSWER_WITHIN_S,
        )
        try:
            if self.begins:
                for message in subject.opening():
                    link.send(message)
            elif not self.first:
                await asyncio.wait({outcome}, timeout=OBJECTS_WITHIN_S)
                settle("")
            return await outcome, 0.0
        finally:
            link.close()

    def _heard(self, subject: Subject, message: bytes, *, binary: bool) -> str | None:
        if self.first and _kind_of(message) == self.first:
            return ""
        for event in subject.decode(message, binary):
            if isinstance(event, ev.ProviderLost):
                return _against(event.reason)
            if isinstance(event, st.StageLost):
                return _against(event.word)
            if isinstance(event, ev.ProviderReady | st.StageReady):
                return ""
        return "unreadable" if self.first else None


class _Head(msgspec.Struct, frozen=True):
    type: str = ""


_head = msgspec.json.Decoder(_Head)


def _kind_of(message: bytes) -> str:
    try:
        return _head.decode(message).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _against(word: str) -> str:
    """Also a planned end is a failure here, where nothing had begun and no caller had said anything."""
    if failures.kind(word) is not None:
        return word
    return "config" if word == "closed_1007" else "server"


# --- by a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The vendor's list of models is read, which costs nothing. When it does not name ours, the next question decides.

    `at`: where the list is, from the URL that a call uses; empty: nowhere. `refuses`: a refusal counts, because the
    next question does not judge the key. Else it does not, for a key that may be called with need not read lists.
    """

    at: Callable[[str], str]
    refuses: bool = False

    async def __call__(self, subject: Subject) -> Said | None:
        if not (url := self.at(subject.url)):
            return None
        headers = {name: text for name, text in subject.headers.items() if name not in _OF_A_REPLY}
        if self.refuses:
            return _listed(await _get(url, headers), subject.model)
        try:
            async with asyncio.timeout(LISTED_WITHIN_S):
                said = _listed(await _get(url, headers), subject.model)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None
        return said if said == WELL else None


def _listed(answer: _Answer, model: str) -> Said | None:
    if answer.status == HTTPStatus.OK:
        return WELL if _names(answer.body, model) else None
    if answer.status in _NO_LIST or _MAY_NOT_LIST.encode() in answer.body:
        return None
    return answer.refused()


class _Model(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""
    model_id: str = ""


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model] = []
    models: list[_Model] = []


_list: msgspec.json.Decoder[_Models | list[_Model]] = msgspec.json.Decoder(_Models | list[_Model])


def _names(body: bytes, model: str) -> bool:
    """Whether the list has the model; where none is configured, whether it is a list. A gateway may answer any path."""
    try:
        found = _list.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    listed = found if isinstance(found, list) else [*found.data, *found.models]
    names = {name for each in listed for name in (each.id, each.model_id, _bare(each.name)) if name}
    return _bare(model) in names if model else bool(names)


def _bare(model: str) -> str:
    return model.removeprefix("models/")


def beside(url: str, instead_of: str, path: str, query: str | None = None) -> str:
    """Where another path of the same service is: what follows `instead_of` is replaced. `query` None: as in the URL.

    Empty when the URL has no such path.
    """
    parts = urlsplit(url)
    before, found, _ = parts.path.partition(instead_of)
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    kept = parts.query if query is None else query
    return urlunsplit(parts._replace(scheme=scheme, path=before + path, query=kept)) if found else ""


# --- by a reply


async def replies(subject: Subject) -> Said | None:
    """A language model's shortest reply, left at its first word: a few tokens, and no right but a call's own."""
    assert subject.reply is not None
    reply = subject.reply()
    async with (
        http_out.session() as http,
        http.post(
            subject.url,
            data=subject.body,
            headers=dict(subject.headers),
            ssl=provider_link.tls(),
            allow_redirects=False,
        ) as answer,
    ):
        if answer.status != HTTPStatus.OK:
            return (await _Answer.of(answer)).refused()
        async for chunk in answer.content.iter_any():
            if (said := _replied(reply.feed(chunk))) is not None:
                return said
        return _replied(reply.end()) or ("unreadable", 0.0)


def _replied(events: Iterable[st.ThinkingEvent]) -> Said | None:
    for event in events:
        return (_against(event.word), event.retry_after_s) if isinstance(event, st.StageLost) else WELL
    return None


# --- what is answered to a request


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: str
    body: bytes

    @classmethod
    async def of(cls, answer: aiohttp.ClientResponse) -> _Answer:
        body = await http_out.whole(answer, MAX_LIST_BYTES + 1)
        return cls(answer.status, answer.headers.get("Retry-After", ""), body)

    def refused(self) -> Said:
        text = self.body[:MAX_REFUSAL_BYTES].decode(errors="replace")
        refused = failures.refused(self.status, body=text, retry_after=self.retry_after)
        return refused.word, refused.retry_after_s


async def _get(url: str, headers: Mapping[str, str]) -> _Answer:
    """Over a connection of its own: a kept one would prove nothing of a new call."""
    async with (
        http_out.session() as http,
        http.get(url, headers=dict(headers), ssl=provider_link.tls(), allow_redirects=False) as answer,
    ):
        return await _Answer.of(answer)
