"""A small fleet in which fra was just lost: what its three clusters show of it, for tests of the plugin."""

from __future__ import annotations

from dataclasses import replace

from cli_fleet import FakeFleet, agent, condition, policy, region, trail

from holdfast.core import reasons
from holdfast.core.explain import Entry, Kind, Outcome, Said, Subject
from holdfast.core.values import Reason

LOST = Reason(reasons.REGION_LOST, "2 of 2 observers see fra down, 2 are needed (ams: connect refused; iad: no audio)")
SEEN = (Said("ams", "down", 0.0, 8.2, detail="connect refused"), Said("iad", "down", 0.4, 7.9, detail="no audio"))
CORDON = Entry(
    Subject(Kind.REGION, "fra"), "eu", Outcome.DECIDED, "cordon fra (lost)", LOST, evidence=SEEN, epoch=7
)
OFF = Entry(
    Subject(Kind.LEVER, "edge"), "eu", Outcome.DECIDED, "turn fra off at edge", LOST,
    region="fra", evidence=SEEN, epoch=7,
)  # fmt: skip
DWELL = Entry(
    Subject(Kind.REGION, "fra"), "eu", Outcome.REFUSED, "lift the cordon of fra (lost)",
    Reason(reasons.DWELL, "fra was moved less than 300 s ago"), guard=reasons.DWELL,
    wanted=Reason(reasons.REGION_RECOVERED, "2 of 2 observers see fra up, 2 are needed"), epoch=7,
)  # fmt: skip
FOLLOWER = replace(
    CORDON, outcome=Outcome.HELD, guard=reasons.NO_QUORUM, wanted=LOST, epoch=0,
    reason=Reason(reasons.NO_QUORUM, "this operator does not hold a majority of the votes"),
)  # fmt: skip

HELD = condition("ActionHeld", "True", reasons.DWELL, "fra was moved less than 300 s ago")
FRA = region(
    "fra", condition("Ready", "False", "RegionCordoned", LOST.message), HELD,
    seen=[
        {"observer": "ams", "verdict": "up", "since": "2026-11-21T14:01:00Z", "detail": ""},
        {"observer": "iad", "verdict": "up", "since": "2026-11-21T14:01:01Z", "detail": ""},
    ],
)  # fmt: skip
AMS = region("ams", condition("Ready", "True", "Ready", "ams takes calls"))
IAD = region("iad", leader="")
EU = policy("eu", condition("Ready", "True", "Ready", "new calls go to ams"), cordoned=["fra"])
DESK = agent("front-desk", condition("Ready", "True", "Ready", "2 of 2 pods are ready"))
REGIONS = (FRA, AMS, IAD)


def lost_region(fleet: FakeFleet) -> None:
    """fra's API server is silent, ams leads, iad is the witness."""
    told = trail(
        ("2026-11-21T14:00:52.100Z", CORDON), ("2026-11-21T14:00:52.400Z", OFF), ("2026-11-21T14:01:10.000Z", DWELL)
    )
    fleet.show("ams", regions=REGIONS, policies=[EU], agents=[DESK], trail=told)
    witness = trail(("2026-11-21T14:00:53.000Z", FOLLOWER), by="iad")
    fleet.show("iad", regions=REGIONS, policies=[EU], agents=[DESK], trail=witness)
    fleet.breaks("fra", "hang")
    fleet.write()
