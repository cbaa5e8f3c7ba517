"""One small world for every kind of decision and refusal, decided by the production core.

`docs/explain.md` is written from these, so its examples are what the core says and not what somebody remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import core_builders as build

from holdfast.core import explain, explain_here, failover, providers, reasons, relays, withdrawals
from holdfast.core.explain import Entry, Outcome
from holdfast.core.means import Carrier
from holdfast.core.plans import View
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.relays import Home, Relay, Sight, Transport
from holdfast.core.values import (
    AgentRef,
    Budget,
    Cause,
    Cordon,
    Guards,
    Load,
    Observation,
    OriginState,
    Override,
    Reason,
    RegionMemory,
    Shift,
    Tier,
    Verdict,
    Withdrawal,
)
from holdfast.core.withdrawals import AgentHere, LocalView

UP, DOWN, DEGRADED = Verdict.UP, Verdict.DOWN, Verdict.DEGRADED
DESK = AgentRef("clinic", "front-desk")


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, in a sentence; and the entry that explains it."""

    code: str
    happens: str
    entry: Entry


Maker = Callable[[], Iterable[Entry]]


def stories() -> tuple[Story, ...]:
    """All of them, in the order of the reason codes."""
    return tuple(_story(code, happens, make) for code, happens, make in (*MOVES, *REFUSALS, *OTHERS, *HERE))


def _story(code: str, happens: str, make: Maker) -> Story:
    found = [entry for entry in make() if entry.reason.code == code]
    if not found:
        raise LookupError(f"the story of {code} does not lead to it")
    return Story(code, happens, found[0])


def decided(view: View) -> tuple[Entry, ...]:
    return explain.entries(failover.decide(view, 0.0), view)


def fra_is(verdict: Verdict, *, held_s: float = 1000.0, **more: object) -> View:
    """Two regions and a witness; what ams and iad say of fra. The rest is well."""
    details = {DOWN: ("connect: refused", "no audio for 1.5 s"), DEGRADED: ("4 of 12 calls mute", "5 of 12 calls mute")}
    ams, iad = details.get(verdict, ("", ""))
    return build.view(
        observations=(
            build.said("ams", "fra", verdict, heard_age_s=0.0, held_s=held_s, detail=ams),
            build.said("iad", "fra", verdict, heard_age_s=0.4, held_s=held_s, detail=iad),
            *(seen for seen in build.all_say(build.zone()) if seen.target != "fra"),
        ),
        **more,
    )


REPORTING = replace(build.zone(), levers=(replace(build.zone().levers[0], enforce=False),))
ON_TRIAL = replace(build.zone(), levers=(replace(build.zone().levers[0], dry_run=True),))


def out(cause: Cause, ago_s: float | None = 1000.0, **more: object) -> dict[str, RegionMemory]:
    return build.joined(build.zone(), fra=build.cordoned(cause, ago_s, **more))


def three(**more: object) -> View:
    return build.view(build.zone(("fra", "ams", "cdg")), **more)


def ramping(stepped_ago_s: float) -> View:
    step = RegionMemory({Cause.LOST: Cordon(stands=False, changed_ago_s=900.0)}, 0, stepped_ago_s)
    return build.view(memory=build.joined(build.zone(), fra=step))


def shifted(by: Cause, why: str, **more: object) -> View:
    return build.view(shifts=(Shift("fra", by, 1800.0, why, "ams"),), **more)


def asking(**more: object) -> View:
    why = Reason(reasons.PODS_NOT_READY, "agents with too few ready pods: 3")
    asked = replace(Withdrawal("fra", why, 0.5, agents=3, of_agents=3), **more)
    elsewhere = Observation("ams", "openai/realtime", DOWN, 0.3, 40.0, detail="5xx", tier=Tier.PROVIDER)
    return build.view(withdrawals=(asked,), observations=(*build.all_say(build.zone()), elsewhere))


def carriers(twilio: Verdict, telnyx: Verdict = UP, **more: object) -> View:
    """Two carriers as all three voters see them."""
    accounts = tuple(Carrier(name, "twilio", "AC", "", "") for name in ("twilio-eu", "telnyx-eu"))
    of = replace(build.zone(), carriers=accounts)
    said = tuple(
        Observation(voter, name, verdict, 0.4, 1000.0, detail="503" if verdict is DOWN else "", tier=Tier.CARRIER)
        for name, verdict in (("twilio-eu", twilio), ("telnyx-eu", telnyx))
        for voter in of.voters
    )
    return build.view(of, observations=(*build.all_say(of), *said), **more)


def full() -> View:
    loads = {"fra": Load(0, 0, 0), "ams": Load(2, 100, 0)}
    return fra_is(DOWN, memory=out(Cause.LOST), loads=loads | {"fra": Load(2, 40, 0)})


MOVES: tuple[tuple[str, str, Maker], ...] = (
    (reasons.REGION_LOST, "A region's sockets are closed.", lambda: decided(fra_is(DOWN, held_s=8.0))),
    (
        reasons.REGION_ABSENT, "A region is in the policy and was never up.",
        lambda: decided(fra_is(DOWN, memory={"ams": RegionMemory()})),
    ),
    (reasons.REGION_DEGRADED, "A region answers, but not reliably.", lambda: decided(fra_is(DEGRADED, held_s=60.0))),
    (reasons.REGION_WITHDRAWN, "A region's own operator asks to be taken out.", lambda: decided(asking())),
    (
        reasons.REGION_RECOVERED, "A lost region has been well for its dwell.",
        lambda: decided(fra_is(UP, memory=out(Cause.LOST))),
    ),
    (
        reasons.REGION_JOINED, "A region that was absent comes up.",
        lambda: decided(fra_is(UP, held_s=2.0, memory=out(Cause.ABSENT, 20.0))),
    ),
    (reasons.REGION_RAISED, "A region that came back goes up its ramp.", lambda: decided(ramping(400.0))),
    (
        reasons.OUTSIDE_RESIDENCY, "A Region is relabelled to another jurisdiction.",
        lambda: decided(build.view(regions=build.regions(build.zone(), abroad=("fra",)))),
    ),
    (
        reasons.FOUND_OFF, "An origin was found off with nobody's word why, and somebody turns it on again.",
        lambda: decided(build.view(memory=out(Cause.FOUND_OFF, 100.0, reason="found off, with no record of why"))),
    ),
    (reasons.HUMAN_SHIFT, "A person cordons a region.", lambda: decided(shifted(Cause.HUMAN, "kernel upgrade"))),
    (
        reasons.GAME_DAY_SHIFT, "A rehearsal cordons a region.",
        lambda: decided(shifted(Cause.GAME_DAY, "rehearsal of november")),
    ),
    (
        reasons.SHIFT_ENDED, "The time of a person's cordon runs out.",
        lambda: decided(build.view(memory=out(Cause.HUMAN, 1800.0, remaining_s=0.0, reason="kernel upgrade"))),
    ),
)  # fmt: skip

REFUSALS: tuple[tuple[str, str, Maker], ...] = (
    (
        reasons.NO_QUORUM, "An operator that does not lead sees a region down.",
        lambda: decided(fra_is(DOWN, held_s=8.0, fence=None)),
    ),
    (
        reasons.PAUSED, "A person has stopped the fleet.",
        lambda: decided(fra_is(DOWN, held_s=8.0, paused="the carrier's maintenance until 15:00")),
    ),
    (
        reasons.INCIDENT, "A rehearsal is due while a region is lost.",
        lambda: decided(three(
            memory=build.joined(build.zone(("fra", "ams", "cdg")), cdg=build.cordoned(Cause.LOST, 60.0)),
            shifts=(Shift("fra", Cause.GAME_DAY, 1800.0, "rehearsal of november", "ams"),),
        )),
    ),
    (
        reasons.SEEN_ELSEWHERE, "A region wants to leave for a fault that others have, too.",
        lambda: decided(asking(ill=("openai/realtime",))),
    ),
    (
        reasons.ONLY_SOME_AGENTS, "A region wants to leave for one of its agents.",
        lambda: decided(asking(agents=1)),
    ),
    (
        reasons.STALE_EVIDENCE, "An observer has fallen silent.",
        lambda: decided(build.view(observations=(
            build.said("ams", "fra", DOWN, heard_age_s=0.0, held_s=8.0, detail="connect: refused"),
            build.said("iad", "fra", DOWN, heard_age_s=5.2, held_s=3.0, detail="no audio for 1.5 s"),
            *(seen for seen in build.all_say(build.zone()) if seen.target != "fra"),
        ))),
    ),
    (
        reasons.OBSERVER_DOUBTS, "An observer reaches nothing outside the fleet either.",
        lambda: decided(build.view(observations=(
            build.said("ams", "fra", DOWN, heard_age_s=0.0, held_s=8.0, detail="connect: refused"),
            build.said("iad", "fra", DOWN, heard_age_s=0.4, held_s=3.0, self_doubt=True),
            *(seen for seen in build.all_say(build.zone()) if seen.target != "fra"),
        ))),
    ),
    (
        reasons.NOT_CONFIRMED, "One observer sees a region down, the other does not.",
        lambda: decided(build.view(observations=(
            build.said("ams", "fra", DOWN, heard_age_s=0.0, held_s=8.0, detail="connect: refused"),
            build.said("iad", "fra", UP, heard_age_s=0.4),
            *(seen for seen in build.all_say(build.zone()) if seen.target != "fra"),
        ))),
    ),
    (
        reasons.TARGET_LOST, "A person's cordon ends while the region is down.",
        lambda: decided(fra_is(DOWN, memory=out(Cause.HUMAN, 1800.0, remaining_s=0.0, reason="kernel upgrade"))),
    ),
    (
        reasons.EVERYTHING_ILL, "Every region looks down.",
        lambda: decided(build.view(verdicts={"fra": DOWN, "ams": DOWN})),
    ),
    (
        reasons.LAST_SERVING, "The only region that is not cordoned looks down.",
        lambda: decided(build.view(
            verdicts={"ams": DOWN},
            memory=out(Cause.HUMAN, 60.0, remaining_s=600.0, reason="kernel upgrade"),
            shifts=(Shift("fra", Cause.HUMAN, 600.0, "kernel upgrade", "ams"),),
        )),
    ),
    (
        reasons.NEVER_EMPTY, "A lost region holds the last origin that is on.",
        lambda: decided(fra_is(DOWN, held_s=8.0, routes=build.origins(build.zone(), off=("ams",)))),
    ),
    (
        reasons.MIN_SERVING, "The policy asks for two regions and one of two is lost.",
        lambda: decided(build.view(build.zone(guards=Guards(min_serving=2)), verdicts={"fra": DOWN})),
    ),
    (
        reasons.MAX_CORDONED, "A second region gets unreliable while one is cordoned.",
        lambda: decided(three(
            verdicts={"fra": DEGRADED},
            memory=build.joined(
                build.zone(("fra", "ams", "cdg")), cdg=build.cordoned(Cause.HUMAN, 60.0, remaining_s=600.0)
            ),
            shifts=(Shift("cdg", Cause.HUMAN, 600.0, "kernel upgrade", "ams"),),
        )),
    ),
    (
        reasons.CAPACITY, "An unreliable region carries more calls than the other has room for.",
        lambda: decided(fra_is(DEGRADED, loads={"fra": Load(4, 300, 100), "ams": Load(2, 80, 120)})),
    ),
    (
        reasons.REWOUND_HISTORY, "The memory was restored from a backup.",
        lambda: decided(fra_is(UP, memory=out(Cause.LOST), rewound=True)),
    ),
    (
        reasons.UNKNOWN_HISTORY, "Nobody knows when a region was cordoned.",
        lambda: decided(fra_is(UP, memory=out(Cause.LOST, None))),
    ),
    (
        reasons.DWELL, "A region is well again, but not for long enough.",
        lambda: decided(fra_is(UP, held_s=40.0, memory=out(Cause.LOST, 48.0))),
    ),
    (reasons.RAMP, "A region stands at the first step of its ramp.", lambda: decided(ramping(20.0))),
    (
        reasons.DRIFT, "Somebody turns a pool off in the vendor's console, and the policy only reports drift.",
        lambda: decided(build.view(
            REPORTING, routes=(
                OriginState("edge", "fra", False, 1.0, settled=(True, None)), OriginState("edge", "ams", True, 1.0),
            ),
        )),
    ),
    (
        reasons.DRY_RUN, "A region is lost, and the lever is on trial.",
        lambda: decided(build.view(ON_TRIAL, {"fra": DOWN}, memory=build.joined(
            ON_TRIAL, fra=build.cordoned(Cause.LOST, 10.0, reason="3 of 3 observers see fra down")
        ))),
    ),
    (
        reasons.BUDGET, "A lever's vendor takes few more requests, and it is no emergency.",
        lambda: decided(build.view(
            memory=out(Cause.HUMAN, 60.0, remaining_s=600.0, reason="kernel upgrade"),
            shifts=(Shift("fra", Cause.HUMAN, 600.0, "kernel upgrade", "ams"),),
            budgets={"edge": Budget(left=20, reserve=40)},
        )),
    ),
)  # fmt: skip

OVERRIDE = Override("fra", reasons.DWELL, 600.0, "the vendor confirmed the repair")

OTHERS: tuple[tuple[str, str, Maker], ...] = (
    (
        reasons.DWELL, "The same, and a person overrides the guard by name.",
        lambda: (
            entry
            for entry in decided(fra_is(UP, held_s=40.0, memory=out(Cause.LOST, 48.0), overrides=(OVERRIDE,)))
            if entry.outcome is Outcome.OVERRIDDEN
        ),
    ),
    (reasons.CALLS_SHED, "There is no room left for some calls.", lambda: decided(full())),
    (reasons.SEPARATE_REGION, "The carriers' own fallback lies apart from the edge's first region.",
     lambda: decided(build.view())),
    (reasons.NO_OTHER_REGION, "Only one region serves, so the fallback leads there, too.",
     lambda: decided(fra_is(DOWN, memory=out(Cause.LOST)))),
    (
        reasons.SHARED_DOMAIN, "All regions lie with one cloud.",
        lambda: decided(build.view(regions={
            name: build.region(name, failure_domain="hetzner") for name in ("fra", "ams")
        })),
    ),
    (reasons.CARRIER_ILL, "A carrier's API is down for everybody.", lambda: decided(carriers(DOWN))),
    (
        reasons.CARRIER_RECOVERED, "A carrier is well again.",
        lambda: decided(carriers(UP, carriers={"twilio-eu": Cordon(stands=True, changed_ago_s=1000.0, flaps=1)})),
    ),
    (reasons.EVERY_CARRIER_ILL, "Every carrier looks down.", lambda: decided(carriers(DOWN, DOWN))),
)  # fmt: skip

OPENAI = AttemptLine("openai", "openai/realtime", host="eu.api.openai.com")
AZURE = AttemptLine("azure", "azure/realtime", host="clinic.openai.azure.com", declares=frozenset({"hipaa"}))
ELSEWHERE = replace(OPENAI, name="openai-us", regions=frozenset({"iad"}))


def attempts(*lines: AttemptLine, sick: Iterable[str] = (), **more: object) -> Iterable[Entry]:
    spec = Attempts(lines, **more)
    order = providers.order(spec, frozenset(sick), region="fra")
    return explain_here.attempts(DESK, spec, order, zone="eu", region="fra")


def ice(*, residency: str = "eu", sights: dict[str, Sight] | None = None) -> Iterable[Entry]:
    both = [Relay(name, "eu", {Transport.UDP: f"turn:{name}"}) for name in ("turn-1", "turn-2")]
    seen = {(name, Transport.UDP): sight for name, sight in (sights or {}).items()}
    return [explain_here.relays(relays.servers(both, seen, home=Home(residency)), zone="eu", region="fra")]


def wished(**agents: AgentHere) -> Iterable[Entry]:
    named = {AgentRef("clinic", name): each for name, each in agents.items()}
    here = LocalView("fra", named, ill=frozenset({"openai/realtime"}))
    return explain_here.withdrawal(withdrawals.wish(here), zone="eu", region="fra")


HERE: tuple[tuple[str, str, Maker], ...] = (
    (reasons.ATTEMPT_ILL, "A provider is ill in a region.", lambda: attempts(OPENAI, AZURE, sick=["openai/realtime"])),
    (
        reasons.ALL_ATTEMPTS_ILL, "Every provider of an agent is ill.",
        lambda: attempts(OPENAI, AZURE, sick=["openai/realtime", "azure/realtime"]),
    ),
    (reasons.ATTEMPT_NOT_HERE, "An attempt is meant for other regions.", lambda: attempts(OPENAI, ELSEWHERE)),
    (
        reasons.ATTEMPT_NOT_COMPLIANT, "An attempt does not declare what the agent must comply with.",
        lambda: attempts(OPENAI, AZURE, compliance=frozenset({"hipaa"})),
    ),
    (
        reasons.HOST_NOT_GRANTED, "The policy does not grant an attempt's host.",
        lambda: attempts(OPENAI, AZURE, hosts=frozenset({"eu.api.openai.com"})),
    ),
    (reasons.NO_ATTEMPT, "No attempt of an agent is permitted in a region.", lambda: attempts(ELSEWHERE)),
    (
        reasons.RELAYS_WELL, "All TURN relays are well.",
        lambda: ice(sights={"turn-1": Sight.WELL, "turn-2": Sight.WELL}),
    ),
    (reasons.RELAY_ILL, "A TURN relay is full.", lambda: ice(sights={"turn-1": Sight.FULL, "turn-2": Sight.WELL})),
    (reasons.ALL_RELAYS_ILL, "No TURN relay answers.", lambda: ice(sights={"turn-1": Sight.ILL, "turn-2": Sight.ILL})),
    (reasons.NO_RELAY, "No TURN relay lies in the residency.", lambda: ice(residency="us")),
    (
        reasons.PODS_NOT_READY, "Too few pods of every agent are ready in a region.",
        lambda: wished(desk=AgentHere(0, 2), night=AgentHere(0, 2)),
    ),
    (
        reasons.NO_WORKING_ATTEMPT, "No attempt of any agent works in a region.",
        lambda: wished(desk=AgentHere(2, 2, attempts=Attempts((OPENAI,)))),
    ),
)  # fmt: skip
