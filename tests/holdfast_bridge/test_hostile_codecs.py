"""Every codec and parser of the bridge, under whatever comes: `hostile_targets` says what must hold.

The codecs are those of the bridge's own tables, and what comes has the shapes and the words of their own modules.
`make fuzz` looks further, with coverage; what it found stands here as an example.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from hostile_bytes import MANY, Bytes, vocabulary, weight
from hostile_targets import SPEECH, TARGETS, plan, speech, stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from holdfast.core.kinds import Role
from holdfast_bridge import stage_codecs
from holdfast_bridge.core import events as ev
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.providers.tool_calls import REMEMBERED, CallIds

ROUNDS = 300
EXAMPLES = 20
SEEDS = 8


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_nothing_is_raised_and_what_is_promised_holds(name: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(some.binary(max_size=1_500))
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()


@pytest.mark.parametrize("name", TARGETS)
def test_many_seeds_hold(name: str) -> None:
    for seed in range(SEEDS):
        TARGETS[name](random.Random(seed).randbytes(3_000))


def _stages(role: Role, kinds: Iterable[str]) -> dict[str, tuple[Callable[[], Any], dict[str, bool]]]:
    return {f"{role.value}/{kind}": (partial(stage, kind, role), {"binary": False}) for kind in kinds}


LINKS = {
    **{f"speech/{kind}": (partial(speech, kind), {}) for kind in SPEECH},
    **_stages(Role.HEARING, stage_codecs.HEARING),
    **_stages(Role.SPEAKING, stage_codecs.SPEAKING),
}
"""How a link's codec is made, and how it is to be told of a message."""


@pytest.mark.parametrize("name", LINKS)
def test_what_is_kept_of_a_link_has_a_bound_though_every_message_brings_new_names(name: str) -> None:
    make, how = LINKS[name]
    words = vocabulary(type(make()).__module__)
    source = Bytes(random.Random(name).randbytes(20_000))
    messages = [message for _ in range(400) if MANY.encode() in (message := words.message(source))][:10]
    assert messages, "no message brings a name"
    codec = make()

    def rounds(first: int, last: int) -> int:
        for number in range(first, last):
            for message in messages:
                list(codec.decode(message.replace(MANY.encode(), str(number).encode()), **how))
        return weight(codec)

    settled = rounds(0, 2 * ROUNDS)
    assert rounds(2 * ROUNDS, 4 * ROUNDS) <= settled + 5_000


def test_what_a_call_keeps_has_a_bound_though_its_provider_brings_new_lines_for_ever() -> None:
    core = CallCore(plan())
    core.start(0.0)
    core.receive(ev.ProviderReady(), 0.0)

    def lines(first: int, last: int) -> int:
        for number in range(first, last):
            core.receive(ev.ProviderAudio(f"i{number}", b"\x7f" * 2_000), 0.0)
            core.receive(ev.UserTurn(f"u{number}"), 0.0)
            if number % 50 == 0:
                core.receive(ev.SpeechStarted(), 0.0)
                core.receive(ev.SpeechStopped(words=False), 0.0)
            core.receive(ev.ToolCall(f"t{number}", "other", "{}"), 0.0)
            core.effects()
        return weight(core)

    settled = lines(0, 1_000)
    assert lines(1_000, 2_000) <= settled + 5_000


def test_ids_of_calls_that_are_made_up_for_ever_are_not_all_remembered() -> None:
    ids = CallIds()
    given_out = [ids.of(vendors) for number in range(3_000) for vendors in (f"call_{number}", "same", "")]
    assert len(set(given_out[-REMEMBERED:])) == REMEMBERED
    assert weight(ids) < 200_000


@pytest.mark.parametrize("kind", stage_codecs.SPEAKING)
def test_a_line_that_is_cancelled_again_and_again_pushes_no_other_out_of_memory(kind: str) -> None:
    """Found by the fuzzer."""
    codec = stage(kind, Role.SPEAKING)
    codec.say("first", "Hello there.")
    codec.cancel("first")
    for _ in range(200):
        codec.cancel("second")
    assert codec.say("first", "How are you?") == []
