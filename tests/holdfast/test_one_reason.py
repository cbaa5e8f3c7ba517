"""One decision has one reason: the log, the Event, the condition, the list of decisions and the record say the same."""

from __future__ import annotations

import logging

from fleet_range import Range, fleet_range, until

from holdfast.core import audit, reasons
from holdfast.core.explain import Kind, Subject
from holdfast.core.plans import View

REGION = "/apis/holdfast.dev/v1alpha1/regions/fra"
RECORD = "/api/v1/namespaces/holdfast-system/configmaps/holdfast-decisions"


def views(ground: Range) -> list[View | None]:
    return [loop.view for fleet in ground.fleets.values() for loop in fleet.zone_loops().values()]


async def test_a_lost_regions_reason_is_the_same_wherever_it_is_told(caplog) -> None:
    caplog.set_level(logging.INFO, logger="holdfast.loop")
    async with fleet_range() as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(ground.leader)
        await until(lambda: ground.enabled() == {"fra": True, "ams": True})
        await until(lambda: all(view and view.joined("fra") and view.joined("ams") for view in views(ground)))
        await ground.kill("fra")
        objects = ground.servers["ams"].objects

        def kept() -> audit.Trail:
            return audit.decode(objects.get(RECORD, {}).get("data", {}).get("records", ""))

        def ready() -> dict[str, str]:
            found = objects[REGION].get("status", {}).get("conditions", [])
            return next((each for each in found if each["type"] == "Ready"), {})

        def cordons() -> list[audit.Record]:
            return [each for each in kept().records if each.entry.action == "cordon fra (lost)" and each.entry.done]

        await until(cordons)
        await until(lambda: ready().get("status") == "False")
        await until(lambda: ("ams", "fra", reasons.REGION_LOST) in ground.events)
        (record,) = cordons()

    decisions = objects[REGION]["status"]["lastDecisions"]
    logged = [each for each in caplog.records if each.message == "decided" and each.region == "fra"]
    assert record.entry.reason.code == reasons.REGION_LOST
    assert record.by == "ams"
    assert [said.observer for said in record.entry.evidence] == ["ams", "iad"]
    assert (decisions[0]["reason"], decisions[0]["message"]) == (reasons.REGION_LOST, record.entry.reason.message)
    assert ready()["message"] == record.entry.reason.message
    assert logged[-1].reason == record.entry.reason.code
    assert audit.at({"ams": kept()}, Subject(Kind.LEVER, "edge"), "9").entry.reason == record.entry.reason
