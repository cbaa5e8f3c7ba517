"""The queue of objects to look at."""

import asyncio

import pytest

from holdfast.handlers.pending import Key, Pending

A, B = Key("VoiceAgent", "clinic", "a"), Key("VoiceAgent", "clinic", "b")


async def test_a_key_waits_at_most_once():
    pending = Pending()
    pending.add(A)
    pending.add(A)

    assert await pending.take() == A
    pending.done(A)
    assert len(pending) == 0


async def test_a_key_that_changes_while_worked_on_comes_again_but_never_twice_at_a_time():
    pending = Pending()
    pending.add(A)
    await pending.take()
    pending.add(A)
    pending.add(B)

    assert await pending.take() == B
    pending.done(A)
    assert await pending.take() == A


async def test_a_failure_delays_its_own_key_only_and_longer_each_time():
    pending = Pending()
    delays = []
    for _ in range(7):
        pending.add(A)
        pending.add(B)
        taken = {await pending.take(), await pending.take()}
        assert taken == {A, B}
        pending.done(B)
        delays.append(pending.failed(A))
    pending.close()

    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_taking_waits_for_something_to_do():
    pending = Pending()
    taking = asyncio.create_task(pending.take())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(taking), 0.01)
    pending.add(A)

    assert await taking == A
