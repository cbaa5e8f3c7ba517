"""Which attempt a call goes on with: the first of the order in force that has not failed it lately."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.core.attempts import Attempts
from holdfast_bridge.core.events import ProviderLost


def begun(count: int, attempt: int = 0, *, ready_at: float | None = 0.0) -> Attempts:
    attempts = Attempts(count)
    attempts.connect(attempt)
    if ready_at is not None:
        attempts.became_ready(ready_at)
    return attempts


def lose(attempts: Attempts, now: float, *, retry_same: bool = True) -> int | None:
    following = attempts.after_loss(now, ProviderLost("server", retry_same))
    if following is not None:
        attempts.connect(following)
    return following


def test_a_call_goes_on_to_the_next_of_the_order_that_was_told_while_it_lasted() -> None:
    attempts = begun(3)
    attempts.put_in_order((0, 2, 1))
    assert lose(attempts, 5.0, retry_same=False) == 2
    assert lose(attempts, 6.0, retry_same=False) == 1


def test_an_attempt_that_is_no_longer_the_first_is_not_asked_again() -> None:
    """The operator knows more than one call: a provider that failed others is not forgiven its first failure here."""
    attempts = begun(2)
    assert lose(attempts, 1.0) == 0
    attempts = begun(2)
    attempts.put_in_order((1, 0))
    assert lose(attempts, 1.0) == 1


def test_every_attempt_is_tried_before_a_call_gives_up() -> None:
    attempts = begun(4, ready_at=None)
    tried = [lose(attempts, float(now)) for now in range(5)]
    assert tried[:3] == [1, 2, 3]
    assert tried[-1] is None


def test_an_attempt_that_is_barred_is_not_gone_to_whatever_happens() -> None:
    attempts = begun(3)
    attempts.put_in_order((0, 2))
    assert lose(attempts, 1.0, retry_same=False) == 2
    assert lose(attempts, 2.0, retry_same=False) == 0
    attempts.put_in_order(())
    assert lose(attempts, 3.0) is None


def test_after_a_good_while_what_failed_before_may_be_tried_again() -> None:
    attempts = begun(2, ready_at=None)
    assert lose(attempts, 0.0) == 1
    attempts.became_ready(1.0)
    assert lose(attempts, 11.0, retry_same=False) == 0


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.permutations(range(6))), max_size=20),
)
def test_a_call_uses_only_what_is_in_its_order_and_gives_up_in_the_end(
    count: int, losses: list[tuple[bool, bool, list[int]]]
) -> None:
    attempts = begun(count, ready_at=None)
    tries = 0
    for ready, retry_same, drawn in losses:
        order = tuple(each for each in drawn if each < count)[: max(1, count - 1)]
        attempts.put_in_order(order)
        if ready:
            attempts.became_ready(0.0)
        following = lose(attempts, 1.0, retry_same=retry_same)
        if following is None:
            break
        tries += 1
        assert following in order
    assert tries <= max(2, count)


@pytest.mark.parametrize("reason", ["stall", "timeout", "deaf", "unreadable"])
def test_one_that_stayed_open_and_said_nothing_of_use_is_not_asked_again_while_there_is_another(reason: str) -> None:
    attempts = Attempts(2)
    attempts.connect(0)
    attempts.became_ready(0.0)
    assert attempts.after_loss(1.0, ProviderLost(reason)) == 1
    alone = Attempts(1)
    alone.connect(0)
    alone.became_ready(0.0)
    assert alone.after_loss(1.0, ProviderLost(reason)) == 0
