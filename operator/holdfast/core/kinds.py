"""What each kind of provider takes beside what all of them have: its role, its address, its options and their types.

A table, and one check of what an agent says against it, so that its author reads what is wrong and no pod has to. The
bridge's codecs have the same in their own words; tests/contract/test_provider_kinds.py holds the two together. How a
kind is spoken with is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from holdfast.core.agents import Attempt

OPTIONS_BYTES_MAX = 16_384
NAME_CHARS_MAX = 64
"""Of a name that is not known, so much is repeated."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
AUDIENCE = re.compile(
    r"(https:)?//iam\.googleapis\.com/projects/[0-9]+/locations/global"
    r"/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+"
)
"""Google's and nobody else's: with a token for the cluster's API server a pod would have rights in the cluster."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Role(Enum):
    """What a part of an attempt does. A cascade has one of each of the last three."""

    REALTIME = "realtime"
    HEARING = "hearing"
    THINKING = "thinking"
    SPEAKING = "speaking"


@dataclass(frozen=True, slots=True)
class Type:
    """What the value of an option must be, in words, and whether one is. The other options are shown to it, too."""

    words: str
    fits: Callable[[Any, Mapping[str, Any]], bool]


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


TEXT = Type("a string", lambda value, _: _is_text(value))
WORD = Type("a string that is not empty", lambda value, _: _is_text(value) and value != "")
HEADER = Type("the name of a header", lambda value, _: _is_text(value) and _HEADER_NAME.fullmatch(value) is not None)
TRUTH = Type("true or false", lambda value, _: isinstance(value, bool))
OBJECT = Type("an object", lambda value, _: isinstance(value, dict))
NUMBER = Type("a number", lambda value, _: _is_number(value, float("-inf"), float("inf")))


def number(low: float, high: float) -> Type:
    return Type(f"a number from {low:g} to {high:g}", lambda value, _: _is_number(value, low, high))


def number_below(low: float, high: float, *, other: str, usually: float) -> Type:
    """`other`: the option that it must not be above, and what that is when it is not given."""

    def fits(value: Any, options: Mapping[str, Any]) -> bool:
        bound = options.get(other, usually)
        return _is_number(value, low, high) and (not _is_number(bound, low, float("inf")) or value <= bound)

    return Type(f"a number from {low:g} to {high:g}, and not above {other}", fits)


def whole(low: int, high: int) -> Type:
    def fits(value: Any, _: Mapping[str, Any]) -> bool:
        return isinstance(value, int) and _is_number(value, low, high)

    return Type(f"a whole number from {low} to {high}", fits)


def texts(most: int | None = None) -> Type:
    words = "a list of strings" if most is None else f"a list of at most {most} strings"

    def fits(value: Any, _: Mapping[str, Any]) -> bool:
        return isinstance(value, list) and all(map(_is_text, value)) and (most is None or len(value) <= most)

    return Type(words, fits)


def one_of(*words: str) -> Type:
    return Type(f"one of {', '.join(word or '(nothing)' for word in words)}", lambda value, _: value in words)


def fields(*names: str, **more: tuple[str, re.Pattern[str]]) -> Type:
    """An object of just these strings. `more`: those that may be left out, each in words and how it looks."""

    def fits(value: Any, _: Mapping[str, Any]) -> bool:
        return (
            isinstance(value, dict)
            and set(names) <= value.keys() <= {*names, *more}
            and all(map(_is_text, value.values()))
            and all(look.fullmatch(value[name]) for name, (_words, look) in more.items() if name in value)
        )

    maybe = "".join(f", and maybe {name}, {words}" for name, (words, _look) in more.items())
    return Type(f"an object with {', '.join(names)}{maybe}", fits)


@dataclass(frozen=True, slots=True)
class Kind:
    """`needs`: options that must be given. `pair`: two of them of which neither is given without the other.

    `path_ends`, `path_ended`: how the path of its address ends, and must not.
    `model`: the option that takes the model's place; empty: a model may be left out; None: it must be named.
    `no_query`: parameters that its address must not have, in small letters; `*`: none at all.
    `hears`: the languages that it knows; empty: no list is kept. `only`: models that know but one of them; the empty
    name is what is taken when none is named and the agent speaks that one.
    """

    role: Role
    options: Mapping[str, Type] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    pair: tuple[str, str] | None = None
    model: str | None = None
    path_ends: str = ""
    path_ended: str = ""
    no_query: frozenset[str] = frozenset()
    hears: frozenset[str] = frozenset()
    only: Mapping[str, str] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "openai": Kind(Role.REALTIME, {"extra": OBJECT, "transcription": TEXT}),
    "azure-openai": Kind(
        Role.REALTIME,
        {"extra": OBJECT, "transcription": TEXT},
        path_ended="/openai/realtime",
        no_query=frozenset({"api-version", "model"}),
    ),
    "azure-voice-live": Kind(
        Role.REALTIME,
        {
            "agent": TEXT,
            "extra": OBJECT,
            "givenWords": TRUTH,
            "project": TEXT,
            "transcription": TEXT,
            "turnDetection": TEXT,
            "voiceEndpoint": TEXT,
            "voiceType": TEXT,
        },
        pair=("agent", "project"),
        model="agent",
    ),
    "gpt-live": Kind(
        Role.REALTIME,
        {"backendModel": WORD},
        needs=frozenset({"backendModel"}),
        path_ends="/v1/live/sessions",
        no_query=frozenset({"*"}),
    ),
    "gemini": Kind(
        Role.REALTIME,
        {
            "apiVersion": TEXT,
            "asks": one_of("content", "realtime-text"),
            "generation": OBJECT,
            "history": one_of("config", "packed"),
            "muteDuringTools": TRUTH,
            "noStore": TRUTH,
            "repliesToAll": TRUTH,
            "resume": TEXT,
            "toolBehavior": one_of("", "BLOCKING", "NON_BLOCKING"),
            "vadSignals": TRUTH,
            "vertex": fields("project", "location", audience=("of a workload identity provider", AUDIENCE)),
        },
    ),
    "deepgram-flux": Kind(
        Role.HEARING,
        {
            "eagerThreshold": number_below(0.3, 0.9, other="endThreshold", usually=0.7),
            "endThreshold": number(0.5, 1.0),
            "endTimeoutMs": whole(500, 60_000),
            "keyterms": texts(100),
            "languageHints": texts(),
            "noStore": TRUTH,
        },
        model="",
        hears=frozenset({"de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru"}),
        only={"": "en", "flux-general-en": "en"},
    ),
    "deepgram-nova": Kind(
        Role.HEARING,
        {"keyterms": texts(), "language": TEXT, "noStore": TRUTH, "utteranceEndMs": whole(1_000, 5_000)},
        model="",
    ),
    "openai-chat": Kind(
        Role.THINKING,
        {
            "extra": OBJECT,
            "instructionsRole": one_of("system", "developer"),
            "keyHeader": HEADER,
            "noStore": TRUTH,
            "notesRole": one_of("system", "developer", "user"),
            "tokensField": one_of("max_completion_tokens", "max_tokens"),
            "usage": TRUTH,
        },
    ),
    "anthropic": Kind(Role.THINKING, {"extra": OBJECT, "version": TEXT}),
    "bedrock": Kind(
        Role.THINKING,
        {"cache": TRUTH, "extra": OBJECT, "region": TEXT, "toolsApart": TRUTH},
        needs=frozenset({"region"}),
    ),
    "elevenlabs": Kind(
        Role.SPEAKING,
        {
            "noStore": TRUTH,
            "similarityBoost": NUMBER,
            "speed": NUMBER,
            "stability": NUMBER,
            "style": NUMBER,
            "useSpeakerBoost": TRUTH,
        },
        model="",
    ),
    "deepgram-aura": Kind(Role.SPEAKING, {"noStore": TRUTH, "speed": NUMBER}, model=""),
    "cartesia": Kind(
        Role.SPEAKING,
        {
            "emotion": TEXT,
            "maxBufferDelayMs": whole(0, 5_000),
            "speed": number(0.6, 1.5),
            "volume": number(0.5, 2.0),
        },
        model="",
    ),
}


def wrong(part: Attempt, *, language: str) -> Iterator[tuple[str, str]]:
    """What of a link or a stage does not suit its kind: which field, and what is the matter with it.

    `language`: what the agent speaks. A kind that is not in the table has nothing to be held against. What was written
    into an option is not repeated: a misplaced credential must not reach a status.
    """
    kind = KINDS.get(part.kind)
    if kind is not None:
        yield from _model(part, kind)
        yield from _address(part, kind)
        yield from _headers(part)
        yield from _options(part, kind)
        yield from _language(part, kind, language)


def _model(part: Attempt, kind: Kind) -> Iterator[tuple[str, str]]:
    instead = kind.model or ""
    if kind.model is None and not part.model:
        yield "model", f"{part.kind} needs one"
    elif instead and bool(part.model) is bool(part.options.get(instead)):
        yield "model", f"{part.kind} takes either a model or options.{instead}"


def _address(part: Attempt, kind: Kind) -> Iterator[tuple[str, str]]:
    path = urlsplit(part.base_url).path.rstrip("/")
    if not path.endswith(kind.path_ends):
        yield "baseUrl", f"the path of {part.kind} ends in {kind.path_ends}"
    if kind.path_ended and path.endswith(kind.path_ended):
        yield "baseUrl", f"the path of {part.kind} does not end in {kind.path_ended} any more"
    if "*" in kind.no_query and part.query:
        yield "query", f"{part.kind} takes none"
    elif taken := sorted(name for name in part.query if name.lower() in kind.no_query):
        yield f"query.{taken[0]}", f"{part.kind} takes no such parameter"


def _headers(part: Attempt) -> Iterator[tuple[str, str]]:
    for name, text in sorted(part.headers.items()):
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(text):
            yield f"headers.{name[:NAME_CHARS_MAX]}", "its name or its value cannot be sent"


def _options(part: Attempt, kind: Kind) -> Iterator[tuple[str, str]]:
    size = len(json.dumps(dict(part.options)))
    if size > OPTIONS_BYTES_MAX:
        yield "options", f"{size} bytes, at most {OPTIONS_BYTES_MAX} are allowed"
        return
    known = ", ".join(sorted(kind.options)) or "none"
    for name, value in sorted(part.options.items()):
        if name not in kind.options:
            yield f"options.{name[:NAME_CHARS_MAX]}", f"{part.kind} has no such option; it has {known}"
        elif not kind.options[name].fits(value, part.options):
            yield f"options.{name}", f"it must be {kind.options[name].words}"
    for name in sorted(kind.needs - part.options.keys()):
        yield f"options.{name}", f"{part.kind} needs it"
    if kind.pair is not None and len(lone := [name for name in kind.pair if part.options.get(name)]) == 1:
        yield f"options.{lone[0]}", f"{' and '.join(kind.pair)} are given together"


def _language(part: Attempt, kind: Kind, language: str) -> Iterator[tuple[str, str]]:
    """Hints, where they are given, go before the agent's own language."""
    hints = part.options.get("languageHints", ())
    hinted = isinstance(hints, list) and all(map(_is_text, hints))
    spoken = {_base(each) for each in (hints if hinted else [language])}
    where, only = "options.languageHints" if hinted else "kind", kind.only.get(part.model, "")
    if kind.hears and (unheard := sorted(spoken - kind.hears)):
        yield where, f"{part.kind} hears {', '.join(sorted(kind.hears))}, and not {', '.join(unheard)}"
    elif only and spoken and only not in spoken and (part.model or _base(language) == only):
        yield where, f"{part.model or 'its usual model'} hears {only} only, and not {', '.join(sorted(spoken))}"


def _base(language: str) -> str:
    return language.partition("-")[0].lower()
