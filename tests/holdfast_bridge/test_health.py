"""When a pod wants new calls, when it refuses sockets, and whose token it accepts."""

from __future__ import annotations

import dataclasses

from control_builders import CALL, ZONE_KEY, built, record
from control_parts import SpokenCall

from holdfast_bridge.calls import Calls, TokenDesk
from holdfast_bridge.core import directive, token
from holdfast_bridge.core.loop_lag import LoopLag
from holdfast_bridge.core.token import Claim, Refusal, Refused
from holdfast_bridge.health import Health
from holdfast_bridge.journal_store import MemoryStore
from holdfast_bridge.settings import Settings

OPENAI = {
    "name": "openai",
    "kind": "openai",
    "baseUrl": "wss://eu.api.openai.com/v1/realtime",
    "keySource": "Secret clinic/openai key api-key",
}


def pod(
    settings: Settings,
    *,
    calls: int = 0,
    drain_ordered: bool = False,
    lag: LoopLag | None = None,
    elsewhere: bool = True,
) -> Health:
    book = Calls(on_change=lambda: None)
    for number in range(calls):
        book.add(SpokenCall(record(call=f"CA{number}")))
    health = Health(
        settings=lambda: settings,
        calls=book,
        drain_ordered=lambda: drain_ordered,
        lag=lag or LoopLag(),
        elsewhere=lambda: elsewhere,
    )
    health.serving = True
    return health


def test_a_missing_key_is_named_and_nothing_is_accepted() -> None:
    health = pod(built(attempts=[OPENAI]))
    assert health.reasons() == ("no usable attempt: missing Secret clinic/openai key api-key",)
    assert not health.accepting()


def test_a_pod_whose_attempts_are_all_barred_takes_no_calls_and_says_why() -> None:
    given = built()
    barred = dataclasses.replace(given, agent=directive.in_order(given.agent, (), ("echo",)))
    assert pod(barred).reasons() == ("no attempt is permitted here",)
    assert not pod(barred).accepting()


def test_a_cascade_lacks_the_key_of_one_stage_and_says_which() -> None:
    stage = {"kind": "x", "keySource": "Secret clinic/speech key api-key"}
    cascade = {"name": "c", "kind": "cascade", **dict.fromkeys(("hearing", "thinking", "speaking"), stage)}
    given = dataclasses.replace(built(attempts=[cascade]), provider_keys={"c/hearing": "k", "c/thinking": "k"})
    assert pod(given).reasons() == ("no usable attempt: missing Secret clinic/speech key api-key",)
    assert not pod(given).accepting()
    keys = {**given.provider_keys, "c/speaking": "k"}
    assert pod(dataclasses.replace(given, provider_keys=keys)).accepting()


def lagging(lag_s: float) -> LoopLag:
    lag = LoopLag()
    for tick in range(10):
        lag.add(lag_s, tick / 20)
    return lag


ECHO = {"name": "echo", "kind": "loopback"}


def test_a_pod_whose_loop_runs_late_wants_no_new_calls_and_still_takes_those_that_come() -> None:
    """An upgrade may be a hand-over."""
    health = pod(built(attempts=[ECHO]), calls=5, lag=lagging(0.08))
    assert health.reasons() == ("late: the event loop's p99 is 80 ms behind",)
    assert health.accepting()


def test_a_pod_whose_loop_runs_far_too_late_refuses_every_call() -> None:
    assert not pod(built(attempts=[ECHO]), calls=5, lag=lagging(0.3)).accepting()


def test_a_late_pod_takes_calls_when_nobody_else_could() -> None:
    """To be heard late is better than not to be answered."""
    health = pod(built(attempts=[ECHO]), calls=5, lag=lagging(0.3), elsewhere=False)
    assert health.reasons() == ()
    assert health.accepting()


def test_a_pod_that_carries_little_is_not_late_by_its_calls() -> None:
    """Its machine is, and all pods on it: were they all to refuse, nobody would answer."""
    health = pod(built(attempts=[ECHO]), calls=2, lag=lagging(0.3))
    assert health.reasons() == ()
    assert health.accepting()


def test_one_working_attempt_is_enough() -> None:
    assert pod(built(attempts=[OPENAI, {"name": "echo", "kind": "loopback"}])).reasons() == ()


def test_the_pod_goes_unready_before_it_refuses_a_hand_over() -> None:
    assert pod(built(), calls=8).reasons() == ()
    assert pod(built(), calls=9).reasons() == ("full: 9 of 10 calls",)
    assert pod(built(), calls=19).accepting()
    assert not pod(built(), calls=20).accepting()


def test_a_drain_ordered_or_begun_refuses_calls() -> None:
    assert pod(built(), drain_ordered=True).reasons() == ("draining",)
    stopping = pod(built())
    stopping.stopping = True
    assert not stopping.accepting()


def desk(*, full: bool = False, memory: MemoryStore | None = None, clock: list[float] | None = None) -> TokenDesk:
    now = clock or [1000.0]
    return TokenDesk(
        settings=built, memory=memory or MemoryStore(), redis=None, full=lambda: full, clock=lambda: now[0]
    )


def minted(*, epoch: int = 1, nonce: str = "n1", expires: int = 1120) -> str:
    claim = Claim(call=CALL, agent="clinic/front-desk", region="fra", epoch=epoch, expires=expires, nonce=nonce)
    return token.mint(claim, key=ZONE_KEY.encode())


def test_a_token_is_spent_once() -> None:
    here = desk()
    assert isinstance(here.claim(minted()), Claim)
    assert here.claim(minted()) == Refusal(Refused.SPENT)
    assert isinstance(here.claim(minted(nonce="n2")), Claim)


def test_spent_nonces_are_forgotten_when_they_can_no_longer_be_replayed() -> None:
    clock = [1000.0]
    here = desk(clock=clock)
    here.claim(minted())
    clock[0] = 1121.0
    assert here.claim(minted()) == Refusal(Refused.EXPIRED)
    assert not here._spent


def test_a_token_of_an_older_epoch_is_refused() -> None:
    memory = MemoryStore()
    memory.put(record(epoch=3))
    here = desk(memory=memory)
    assert here.claim(minted(epoch=2)) == Refusal(Refused.STALE_EPOCH)
    assert isinstance(here.claim(minted(epoch=3, nonce="n3")), Claim)


def test_a_full_pod_takes_hand_overs_but_no_new_calls() -> None:
    here = desk(full=True)
    assert here.claim(minted()) == Refusal(Refused.FULL)
    assert isinstance(here.claim(minted(epoch=2)), Claim)


def test_the_book_forgets_only_the_very_call_it_is_told_to() -> None:
    changes: list[int] = []
    book = Calls(on_change=lambda: changes.append(1))
    old, new = SpokenCall(record(epoch=1)), SpokenCall(record(epoch=2))
    book.add(old)
    book.add(new)
    book.remove(old)
    assert book.find(CALL) is new
    book.newer(CALL, 2)
    assert new.silenced_by == []
    book.newer(CALL, 3)
    assert new.silenced_by == [3]
    book.remove(new)
    assert len(book) == 0
