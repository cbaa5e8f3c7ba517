"""What a GPT-Live session is told of the call's past: as messages at its start, or as notes while it runs. Pure.

A session takes texts only, so what a tool did is narrated. Tokens are estimated at three bytes each, which is one
character of the scripts that cost most. It knows no JSON of the vendor's but the messages themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from holdfast_bridge.core import events as ev

BYTES_PER_TOKEN = 3
APPEND_TOKENS = 500
"""The vendor's limit of one append."""
MESSAGES_MAX = 128
HISTORY_TOKENS = 8_192
_MESSAGE_TOKENS = 1_000
"""Of one message, so that a single long text does not push all others out."""
_FRAME_TOKENS = 8
"""What a message costs beside its text."""

THINKING = "session.thinking.append"
INSTRUCTIONS = "session.instructions.append"
_PAST = "What was said in this call before; it is known to you now, and calls for no word by itself:"


def messages(history: Sequence[ev.Seed]) -> list[dict[str, Any]]:
    """The newest of the history that a session takes, in order."""
    kept: list[dict[str, Any]] = []
    left = HISTORY_TOKENS
    for seed in reversed(history):
        role, text = _message(seed)
        text = _pieces(text, _MESSAGE_TOKENS)[0]
        left -= _tokens(text) + _FRAME_TOKENS
        if left < 0 or len(kept) == MESSAGES_MAX:
            break
        if text:
            part = "output_text" if role == "assistant" else "input_text"
            kept.append({"type": "message", "role": role, "content": [{"type": part, "text": text}]})
    return kept[::-1]


def notes(seeds: Sequence[ev.Seed]) -> list[tuple[str, str]]:
    """The kind of append and its text, each within the vendor's limit.

    What somebody said is quoted as the model's own knowledge; what we say ourselves, and what tools did, is given as an
    instruction. Those are passed on to the model that runs the tools, and the caller's words must not have that weight.
    """
    told: list[tuple[str, str]] = []
    for seed in seeds:
        kind, text = _note(seed)
        if told and told[-1][0] == kind:
            told[-1] = kind, f"{told[-1][1]}\n{text}"
        else:
            told.append((kind, f"{_PAST}\n{text}" if kind == THINKING else text))
    return [(kind, piece) for kind, text in told for piece in _pieces(text, APPEND_TOKENS)]


def to_say(words: str, *, before: str = "") -> list[str]:
    """A text in pieces that fit an append, each with `before` in front of it."""
    return [before + piece for piece in _pieces(words, APPEND_TOKENS - _tokens(before))]


def new(seeds: Sequence[ev.Seed], history: Sequence[ev.Seed]) -> Sequence[ev.Seed]:
    """Of what is to be seeded, all that does not repeat the history from its beginning."""
    if len(seeds) < len(history):
        return seeds
    same = 0
    for seed, known in zip(seeds, history, strict=False):
        if seed != known:
            break
        same += 1
    return seeds[same:]


def last_said(seeds: Iterable[ev.Seed]) -> str:
    """The caller's words, if they are the last thing of it all."""
    *_, last = (None, *seeds)
    return last.text.strip() if isinstance(last, ev.SeedText) and last.role == "user" else ""


def bounded(text: str, tokens: int) -> str:
    return _pieces(text, tokens)[0]


def _message(seed: ev.Seed) -> tuple[str, str]:
    match seed:
        case ev.SeedTool():
            return "developer", _narrated(seed)
        case ev.SeedText(role=role, text=text):
            return "developer" if role == "system" else role, text.strip()


def _note(seed: ev.Seed) -> tuple[str, str]:
    match seed:
        case ev.SeedTool():
            return INSTRUCTIONS, _narrated(seed)
        case ev.SeedText(role="user", text=text):
            return THINKING, f'The caller said: "{text.strip()}"'
        case ev.SeedText(role="assistant", text=text):
            return THINKING, f'You said: "{text.strip()}"'
        case ev.SeedText(text=text):
            return INSTRUCTIONS, text.strip()


def _narrated(seed: ev.SeedTool) -> str:
    return (
        f"Done already in this call: the tool {seed.name} was called with the arguments {seed.arguments}, "
        f"and its result was: {seed.output}"
    )


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def _pieces(text: str, tokens: int) -> list[str]:
    """Cut between words where there are any, else between characters; never empty."""
    pieces: list[str] = []
    octets = text.strip().encode()
    limit = tokens * BYTES_PER_TOKEN
    while len(octets) > limit:
        head = octets[: limit + 1]
        at = max(head.rfind(b" "), head.rfind(b"\n"))
        piece = octets[: at if at > 0 else limit].decode(errors="ignore")
        octets = octets[len(piece.encode()) :].lstrip()
        pieces.append(piece.rstrip())
    return [*pieces, octets.decode()]
