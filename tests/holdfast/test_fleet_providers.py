"""One region's breakers, orders and trials, by the clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from provider_parts import (
    AZURE,
    AZURE_NAME,
    DESK,
    OPENAI,
    OPENAI_NAME,
    SHOP,
    RegionDesk,
    attempt,
    desired,
    entry,
    tally,
    zone,
)

from holdfast.core import reasons
from holdfast.core.means import CanaryKey, ProviderRule
from holdfast.core.providers import Failure
from holdfast.core.results import Outcome
from holdfast.core.values import Verdict

KEY = CanaryKey("openai-eu", "openai", "gpt-realtime", OPENAI, "canary-openai")
USUAL, TURNED = ("openai", "azure"), ("azure", "openai")


def broken(desk: RegionDesk) -> None:
    desk.hear(openai=tally(error=0))
    desk.hear(openai=tally(error=2))
    assert desk.order() == TURNED


def test_failures_of_different_pods_add_up() -> None:
    desk = RegionDesk()
    desk.well(pod="p-1")
    desk.well(pod="p-2")
    desk.hear(pod="p-1", openai=tally(error=1))
    assert desk.order() == USUAL
    desk.hear(pod="p-2", openai=tally(timeout=1))
    assert desk.order() == TURNED
    assert desk.changes == 1


def test_totals_that_did_not_move_are_no_news() -> None:
    desk = RegionDesk()
    desk.well()
    for _ in range(5):
        desk.hear(openai=tally(error=1))
    assert desk.order() == USUAL


def test_a_pod_that_began_anew_counts_from_nothing() -> None:
    desk = RegionDesk()
    desk.hear(openai=tally(error=7, ago_s=500.0), began=1)
    desk.hear(openai=tally(error=1), began=2)
    assert desk.order() == USUAL
    desk.hear(openai=tally(error=2), began=2)
    assert desk.order() == TURNED


def test_what_happened_long_before_we_were_here_is_history_and_what_happened_just_now_is_not() -> None:
    desk = RegionDesk()
    for pod in ("p-1", "p-2", "p-3"):
        desk.hear(pod=pod, openai=tally(error=900, ago_s=31.0))
    assert desk.order() == USUAL
    for pod in ("p-4", "p-5"):
        desk.hear(pod=pod, openai=tally(error=900, ago_s=5.0))
    assert desk.order() == TURNED


def test_a_pod_that_fell_silent_is_forgotten_and_its_word_stays() -> None:
    desk = RegionDesk()
    desk.well()
    desk.hear(openai=tally(error=2))
    desk.providers.forget(DESK, "p-1")
    assert desk.order() == TURNED
    desk.clock.now += 61.0
    desk.providers.tick()
    assert desk.providers.to_try(DESK, "p-1") == ()


def test_the_rule_is_the_policys() -> None:
    rule = ProviderRule(failures=3, window_s=10.0, on=("timeout",), cooldown_s=5.0)
    desk = RegionDesk(desired(of=zone(rule)))
    desk.well()
    desk.hear(openai=tally(error=9))
    assert desk.order() == USUAL
    desk.hear(openai=tally(error=9, timeout=2))
    assert desk.order() == USUAL
    desk.hear(openai=tally(error=9, timeout=3))
    assert desk.order() == TURNED


def test_what_the_policy_does_not_grant_is_not_in_any_order() -> None:
    desk = RegionDesk(desired(of=zone(hosts=("eu.azure.com",))))
    found = desk.providers.order(DESK)
    assert found is not None
    assert found.names == ("azure",)
    assert [reason.code for reason in found.reasons] == [reasons.HOST_NOT_GRANTED]


@pytest.mark.parametrize("kind", ["auth", "quota", "rate_limited", "config"])
def test_our_own_trouble_is_told_to_no_peer(kind: str) -> None:
    desk = RegionDesk(desired(entry(DESK), entry(SHOP)))
    desk.well()
    desk.hear(openai=tally(**{kind: 3}))
    assert desk.order() == TURNED
    assert desk.order(SHOP) == USUAL
    assert desk.providers.ailing() == {}


def test_an_outage_is_told_with_its_kind_and_since_when() -> None:
    desk = RegionDesk()
    broken(desk)
    desk.clock.now += 7.0
    (told,) = desk.providers.ailing().items()
    assert told[0] == OPENAI_NAME
    assert (told[1].verdict, told[1].held_s, told[1].detail) == (Verdict.DOWN, 7.0, "5xx")


def test_half_open_one_pod_is_asked_and_its_success_gives_the_usual_order_back() -> None:
    desk = RegionDesk(desired(entry(DESK), entry(SHOP)))
    desk.well(SHOP, "s-1")
    desk.well(pod="p-2")
    broken(desk)
    desk.clock.now += 59.0
    for pod in ("p-1", "p-2"):
        desk.hear(pod=pod, openai=tally(error=2) if pod == "p-1" else tally())
    desk.well(SHOP, "s-1")
    desk.providers.tick()
    pods = ((DESK, "p-1"), (DESK, "p-2"), (SHOP, "s-1"))
    asked = [each for each in pods if desk.providers.to_try(*each)]
    assert [each for each in asked if desk.providers.to_try(*each)[0].attempt == "openai"] == []
    desk.clock.now += 2.0
    desk.providers.tick()
    asked = [each for each in pods if desk.providers.to_try(*each)]
    trials = [desk.providers.to_try(*each)[0] for each in asked]
    assert [(trial.attempt, trial.silent) for trial in trials if trial.attempt == "openai"] == [("openai", False)]
    ref, pod = asked[[trial.attempt for trial in trials].index("openai")]
    assert desk.order() == TURNED, "a trial turns no order"
    desk.hear(ref, pod, openai=tally(ok=1, error=2 if pod == "p-1" else 0))
    assert desk.order() == USUAL
    assert desk.providers.to_try(ref, pod) == ()


def test_a_trial_that_fails_keeps_the_order_for_longer() -> None:
    desk = RegionDesk()
    broken(desk)
    desk.clock.now += 61.0
    desk.hear(openai=tally(error=2, ago_s=61.0))
    desk.providers.tick()
    assert desk.providers.to_try(DESK, "p-1")[0].attempt == "openai"
    desk.hear(openai=tally(error=3))
    assert desk.providers.to_try(DESK, "p-1") == ()
    desk.clock.now += 119.0
    desk.hear(openai=tally(error=3, ago_s=119.0), azure=tally(ok=1))
    desk.providers.tick()
    assert [trial.attempt for trial in desk.providers.to_try(DESK, "p-1")] != ["openai"]
    assert desk.order() == TURNED


def test_a_refused_key_shows_that_the_provider_answers_again() -> None:
    """The provider's breaker closes for everybody else; the key's opens for its own agent."""
    desk = RegionDesk(desired(entry(DESK), entry(SHOP)))
    broken(desk)
    assert desk.order(SHOP) == TURNED
    desk.clock.now += 61.0
    desk.hear(openai=tally(error=2, auth=1))
    assert (desk.order(DESK), desk.order(SHOP)) == (TURNED, USUAL)


def test_after_a_minute_of_silence_each_key_is_tried_once_and_not_while_calls_prove_it_well() -> None:
    desk = RegionDesk()
    desk.hear(openai=tally(ok=1), azure=tally())
    for _ in range(6):
        desk.clock.now += 10.0
        desk.hear(openai=tally(ok=1, ok_ago_s=2.0), azure=tally())
        desk.providers.tick()
    (trial,) = desk.providers.to_try(DESK, "p-1")
    assert (trial.attempt, trial.silent) == ("azure", True)
    desk.hear(openai=tally(ok=1, ok_ago_s=2.0), azure=tally(ok=1))
    for _ in range(5):
        desk.clock.now += 10.0
        desk.hear(openai=tally(ok=1, ok_ago_s=2.0), azure=tally(ok=1, ok_ago_s=10.0))
        desk.providers.tick()
        assert desk.providers.to_try(DESK, "p-1") == ()


def test_a_failed_probe_is_confirmed_after_five_seconds() -> None:
    desk = RegionDesk(desired(entry(DESK, attempt("openai", OPENAI))))
    desk.providers.tick()
    desk.clock.now += 60.0
    desk.well()
    desk.providers.tick()
    desk.hear(openai=tally(timeout=1))
    desk.clock.now += 4.0
    desk.providers.tick()
    assert desk.providers.to_try(DESK, "p-1") == ()
    desk.clock.now += 1.0
    desk.providers.tick()
    assert len(desk.providers.to_try(DESK, "p-1")) == 1
    desk.hear(openai=tally(timeout=2))
    assert desk.providers.ill() == {OPENAI_NAME}


def test_one_failed_call_asks_for_no_probe() -> None:
    desk = RegionDesk(desired(entry(DESK, attempt("openai", OPENAI))))
    desk.well()
    desk.hear(openai=tally(error=1))
    desk.clock.now += 10.0
    desk.hear(openai=tally(error=1, ago_s=10.0))
    desk.providers.tick()
    assert desk.providers.to_try(DESK, "p-1") == ()


def test_a_pod_that_takes_its_trial_to_the_grave_delays_the_next_by_half_a_minute() -> None:
    desk = RegionDesk(desired(entry(DESK, attempt("openai", OPENAI), attempt("azure", AZURE))))
    broken(desk)
    desk.clock.now += 61.0
    desk.hear(openai=tally(error=2, ago_s=61.0))
    desk.providers.tick()
    first = desk.providers.to_try(DESK, "p-1")[0]
    desk.providers.forget(DESK, "p-1")
    desk.well(pod="p-2")
    desk.clock.now += 29.0
    desk.well(pod="p-2")
    desk.providers.tick()
    assert [t.attempt for t in desk.providers.to_try(DESK, "p-2")] != ["openai"]
    desk.hear(pod="p-2", azure=tally(ok=1))
    desk.clock.now += 2.0
    desk.providers.tick()
    (second,) = desk.providers.to_try(DESK, "p-2")
    assert second.attempt == "openai"
    assert second.number > first.number


async def tick(desk: RegionDesk) -> None:
    for key in desk.providers.tick():
        await desk.providers._try(key)


async def test_the_fleets_own_key_finds_an_outage_before_any_call() -> None:
    desk = RegionDesk(desired(of=zone(canary_keys=(KEY,))), Outcome(Failure.ERROR))
    await tick(desk)
    desk.clock.now += 60.0
    await tick(desk)
    desk.clock.now += 4.0
    await tick(desk)
    assert desk.tried == ["openai-eu"]
    desk.clock.now += 1.0
    await tick(desk)
    assert desk.tried == ["openai-eu"] * 2
    assert (desk.order(), desk.providers.ill()) == (TURNED, {OPENAI_NAME})


async def test_the_fleets_own_key_tries_a_half_open_provider_in_the_place_of_tenants() -> None:
    desk = RegionDesk(desired(of=zone(canary_keys=(KEY,))))
    broken(desk)
    desk.clock.now += 61.0
    desk.hear(openai=tally(error=2, ago_s=61.0), azure=tally(ok=1))
    await tick(desk)
    assert desk.tried == ["openai-eu"]
    assert desk.providers.to_try(DESK, "p-1") == ()
    assert desk.order() == USUAL


@pytest.mark.parametrize("failure", [Failure.AUTH, Failure.QUOTA, Failure.RATE_LIMITED, Failure.CONFIG])
async def test_a_fleet_key_that_is_itself_no_good_says_nothing_of_the_provider(failure: Failure) -> None:
    desk = RegionDesk(desired(of=zone(canary_keys=(KEY,))), Outcome(failure))
    for _ in range(200):
        desk.clock.now += 5.0
        await tick(desk)
    assert (desk.order(), desk.providers.ailing()) == (USUAL, {})
    if failure is not Failure.RATE_LIMITED:
        assert len(desk.tried) <= 5, "a key that is refused is not asked in a loop"


async def test_the_fleets_own_key_is_quiet_while_calls_prove_the_provider_well() -> None:
    desk = RegionDesk(desired(of=zone(canary_keys=(KEY,))))
    for _ in range(100):
        desk.clock.now += 5.0
        desk.hear(openai=tally(ok=1, ok_ago_s=1.0))
        await tick(desk)
    assert desk.tried == []


async def test_a_fleet_key_that_cannot_be_read_is_no_outage() -> None:
    desk = RegionDesk(desired(of=zone(canary_keys=(KEY,))))

    async def unread(_: CanaryKey) -> tuple[Outcome, str]:
        raise LookupError("the Secret is not there")

    desk.providers._probe = unread
    await tick(desk)
    desk.clock.now += 61.0
    await tick(desk)
    assert desk.providers.ailing() == {}


def test_two_zones_learn_of_a_call_together_each_by_its_own_rule() -> None:
    known = desired(entry(DESK))
    strict = replace(zone(ProviderRule(failures=1)), name="us")
    known.put_zone(strict)
    known.put_agent(replace(entry(SHOP), zone="us", spec=replace(entry(SHOP).spec, zone="us")))
    desk = RegionDesk(known)
    desk.well()
    desk.hear(openai=tally(error=1))
    assert (desk.order(DESK), desk.order(SHOP)) == (USUAL, TURNED)
    assert desk.providers.ailing() == {}, "a zone of ours still finds it well"
    desk.hear(openai=tally(error=2))
    assert desk.providers.ill() == {OPENAI_NAME}


def test_an_edit_leaves_nothing_of_the_old_spec_behind() -> None:
    desk = RegionDesk()
    broken(desk)
    desk.desired.put_agent(entry(DESK, attempt("azure", AZURE)))
    for _ in range(30):
        desk.providers.tick()
    assert desk.providers.ailing() == {}
    assert set(desk.providers._pairs) == {(AZURE_NAME, "Secret clinic/azure key api-key")}


async def test_an_operator_that_becomes_active_again_starts_from_what_pods_say_then() -> None:
    desk = RegionDesk()
    broken(desk)
    running = asyncio.create_task(desk.providers.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.order() == USUAL
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
