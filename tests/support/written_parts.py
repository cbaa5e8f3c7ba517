"""Parts of an agent with nothing wrong in them, one of each kind that the operator knows, as a bridge is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from control_builders import built

from holdfast.core.agents import Attempt as Written
from holdfast.core.kinds import KINDS, Role
from holdfast_bridge.agent_config import Attempt, Persona, Stage, Tool
from holdfast_bridge.settings import Settings

USUAL = {
    Role.HEARING: Stage(kind="deepgram-nova", base_url="wss://x.com"),
    Role.THINKING: Stage(kind="anthropic", model="m", base_url="https://x.com"),
    Role.SPEAKING: Stage(kind="deepgram-aura", base_url="wss://x.com"),
}
ADDRESSES = {Role.THINKING: "https://x.com/v1"}


def written(kind: str, **changes: Any) -> Written:
    """A part of this kind with nothing wrong."""
    of = KINDS[kind]
    base = {
        "name": "a" if of.role is Role.REALTIME else f"a/{of.role.value}", "kind": kind, "voice": "ash", "model": "m",
        "base_url": ADDRESSES.get(of.role, "wss://x.com") + of.path_ends, "options": dict.fromkeys(of.needs, "x"),
    }  # fmt: skip
    return Written(**{**base, **changes})


def told(part: Written, language: str = "en", **changes: Any) -> Settings:
    """The part as it stands in agent.json, in an agent whose other parts are beyond doubt."""
    fields = {
        "kind": part.kind, "voice": part.voice, "model": part.model, "base_url": part.base_url,
        "query": dict(part.query), "headers": dict(part.headers), "options": dict(part.options), **changes,
    }  # fmt: skip
    role = KINDS[part.kind].role
    if role is Role.REALTIME:
        attempt, keys = Attempt(name="a", **fields), ("a",)
    else:
        stages = {each.value: stage for each, stage in {**USUAL, role: Stage(**fields)}.items()}
        attempt, keys = Attempt(name="a", kind="cascade", **stages), tuple(f"a/{name}" for name in stages)
    persona = Persona(instructions="Be brief.", greeting="Hello.", language=language)
    tools = (Tool(name="book", url="https://x.com"),)
    started = built()
    agent = msgspec.structs.replace(started.agent, attempts=(attempt,), persona=persona, tools=tools)
    return dataclasses.replace(started, agent=agent, provider_keys=dict.fromkeys(keys, "key secret token"))
