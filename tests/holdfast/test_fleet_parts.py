"""One region's breakers, orders and trials of a cascade, whose stages fail, and are tried, each by itself."""

from __future__ import annotations

import pytest
from control_parts import until
from provider_parts import DESK, OPENAI, SHOP, PollingPod, RegionDesk, attempt, desired, entry, polling, tally, zone

from holdfast.core import reasons
from holdfast.core.agents import CASCADE, Attempt, KeyRef
from holdfast.core.values import AgentRef

HOSTS = ("eu.api.openai.com", "stt.eu", "llm.eu", "tts.eu")
HEARING, THINKING, SPEAKING = "cascade/hearing", "cascade/thinking", "cascade/speaking"
OTHER = AgentRef("shop", "night")


def stage(role: str, host: str, secret: str) -> Attempt:
    return Attempt(
        f"cascade/{role}", "any", model=role, base_url=f"https://{host}", key=KeyRef(secret, "api-key")
    )


def stages(llm: str = "llm.eu") -> tuple[Attempt, ...]:
    return stage("hearing", "stt.eu", "stt"), stage("thinking", llm, "llm"), stage("speaking", "tts.eu", "tts")


def region(*others: AgentRef) -> RegionDesk:
    """The desk, and whoever else is named, has the cascade first; the shop has another's language model."""
    cascade = Attempt("cascade", CASCADE, stages=stages())
    elsewhere = Attempt("cascade", CASCADE, stages=stages(llm="eu.api.openai.com"))
    first = {each: elsewhere if each == SHOP else cascade for each in (DESK, *others)}
    entries = [entry(ref, tried, attempt("openai", OPENAI)) for ref, tried in first.items()]
    return RegionDesk(desired(*entries, of=zone(hosts=HOSTS)))


USUAL, TURNED = ("cascade", "openai"), ("openai", "cascade")


def counted(desk: RegionDesk, *, ref: AgentRef = DESK, pod: str = "p-1", **by_role: object) -> None:
    desk.hear(ref, pod, **{role if role == "openai" else f"cascade/{role}": each for role, each in by_role.items()})


@pytest.mark.parametrize("role", ["hearing", "thinking", "speaking"])
def test_an_outage_of_any_stage_puts_the_cascade_last_and_says_which(role: str) -> None:
    desk = region()
    desk.well()
    counted(desk, **{role: tally(error=2)})
    found = desk.providers.order(DESK)
    assert found is not None
    assert found.names == TURNED
    assert [(reason.code, reason.message) for reason in found.reasons] == [
        (reasons.ATTEMPT_ILL, f"cascade/{role} is ill in fra, so cascade is tried last")
    ]
    assert len(desk.providers.ill()) == 1


def test_failures_of_two_stages_do_not_add_up() -> None:
    desk = region()
    desk.well()
    counted(desk, hearing=tally(error=1), speaking=tally(error=1))
    assert desk.order() == USUAL


def test_a_provider_is_shared_by_all_whose_stage_uses_it_and_by_no_other() -> None:
    desk = region(SHOP, OTHER)
    desk.well()
    counted(desk, thinking=tally(timeout=2))
    assert {ref: desk.order(ref) for ref in (DESK, SHOP, OTHER)} == {DESK: TURNED, SHOP: USUAL, OTHER: TURNED}
    counted(desk, hearing=tally(error=2), thinking=tally(timeout=2))
    assert desk.order(SHOP) == TURNED


@pytest.mark.parametrize("kind", ["auth", "quota", "rate_limited", "config"])
def test_a_refused_key_of_one_stage_concerns_its_agent_alone(kind: str) -> None:
    desk = region(OTHER)
    desk.well()
    counted(desk, thinking=tally(**{kind: 3}))
    assert (desk.order(DESK), desk.order(OTHER), desk.providers.ailing()) == (TURNED, USUAL, {})


def asked(desk: RegionDesk, *pods: str) -> dict[str, str]:
    return {trial.attempt: pod for pod in pods for trial in desk.providers.to_try(DESK, pod)}


def test_half_open_only_the_stage_that_was_ill_is_tried_and_its_success_gives_the_usual_order_back() -> None:
    desk = region()
    pods = ("p-1", "p-2")
    calm = dict.fromkeys(("hearing", "speaking", "openai"), tally(ok=1, ok_ago_s=1.0))
    for pod in pods:
        counted(desk, pod=pod, **calm, thinking=tally())
    counted(desk, **calm, thinking=tally(error=2))
    desk.clock.now += 61.0
    for pod in pods:
        counted(desk, pod=pod, **calm, thinking=tally(error=2, ago_s=61.0) if pod == "p-1" else tally())
    desk.providers.tick()
    (tried,) = asked(desk, *pods)
    assert tried == THINKING
    pod = asked(desk, *pods)[THINKING]
    counted(desk, pod=pod, **calm, thinking=tally(ok=1, error=2 if pod == "p-1" else 0))
    assert (desk.order(), asked(desk, *pods)) == (USUAL, {})


def test_in_silence_each_stage_is_tried_in_its_turn_and_an_outcome_of_another_ends_no_trial() -> None:
    desk = RegionDesk(desired(entry(DESK, Attempt("cascade", CASCADE, stages=stages())), of=zone(hosts=HOSTS)))
    desk.providers.tick()
    met: list[str] = []
    seen = dict.fromkeys(("hearing", "thinking", "speaking"), 0)
    desk.clock.now += 60.0
    for _ in range(3):
        counted(desk, **{role: tally(ok=times) for role, times in seen.items() if times})
        desk.providers.tick()
        (trial,) = desk.providers.to_try(DESK, "p-1")
        role = trial.attempt.partition("/")[2]
        others = {other: tally(ok=times) for other, times in seen.items() if times and other != role}
        counted(desk, **others)
        assert desk.providers.to_try(DESK, "p-1") == (trial,), "nothing was heard of what is on trial"
        met.append(trial.attempt)
        seen[role] += 1
        counted(desk, **{each: tally(ok=times) for each, times in seen.items() if times})
        assert desk.providers.to_try(DESK, "p-1") == ()
    assert sorted(met) == sorted((HEARING, THINKING, SPEAKING))


def test_a_stage_that_an_edit_took_away_leaves_nothing_behind() -> None:
    desk = region()
    desk.well()
    counted(desk, thinking=tally(error=2))
    desk.desired.put_agent(entry(DESK, Attempt("cascade", CASCADE, stages=stages(llm="eu.api.openai.com"))))
    for _ in range(30):
        desk.providers.tick()
    assert (desk.providers.ailing(), desk.order()) == ({}, ("cascade",))
    assert {provider for provider, _ in desk.providers._pairs} == {
        "stt.eu/hearing", "eu.api.openai.com/thinking", "tts.eu/speaking",
    }  # fmt: skip


async def test_what_a_pod_counts_of_a_stage_turns_the_order_that_it_is_told() -> None:
    desk = region()
    async with desk.serving() as url:
        pod = PollingPod("p-1", url)
        async with polling(pod):
            await until(lambda: pod.directives.version > 0)
            for _ in range(2):
                pod.results.add(SPEAKING, False, "server")
            await until(lambda: desk.order() == TURNED)
            await until(lambda: bool(pod.directives().reasons))
            (reason,) = pod.directives().reasons
            assert reason.message == "cascade/speaking is ill in fra, so cascade is tried last"
            assert pod.directives().ill == ("cascade",), "no caller is drawn for it, whatever its weight"
