"""A running operator: what its pods' calls meet is in its heartbeat at once, and its pods' directives follow."""

from __future__ import annotations

from dataclasses import replace

from fleet_range import EU, fleet_range, until
from provider_parts import DESK, HOSTS, OPENAI_NAME, entry, tally

from holdfast import heart, peers
from holdfast.core.means import Tenant
from holdfast.core.reports import Report
from holdfast.core.values import Tier, Verdict, Zone


async def test_an_outage_is_in_the_heartbeat_and_in_the_directive_and_in_a_peers_ears() -> None:
    async with fleet_range() as ground:
        fra, ams = ground.start("fra"), ground.start("ams")
        for fleet in (fra, ams):
            fleet._desired.know_orders()
            fleet._desired.put_zone(_granting())
            fleet._desired.put_agent(entry(DESK))
        path = f"/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases/{peers.REGION_LEASE}"

        def beat() -> heart.Heartbeat | None:
            lease = ground.servers["fra"].objects.get(path) or {"metadata": {}}
            return heart.decode((lease["metadata"].get("annotations") or {}).get(heart.HEARTBEAT_ANNOTATION, ""))

        await until(lambda: (told := beat()) is not None and told.orders_known)
        fra.pods.providers.hear(DESK, "p-1", Report(1, {"openai": tally()}), draining=False)
        assert fra.pods.directive(DESK)["attempts"] == ["openai", "azure"]
        assert fra.pods.turned_order(DESK) is None
        fra.pods.providers.hear(DESK, "p-1", Report(1, {"openai": tally(error=2)}), draining=False)
        assert fra.pods.directive(DESK)["attempts"] == ["azure", "openai"]
        assert fra.pods.turned_order(DESK) == ("azure", "openai")
        await until(lambda: (told := beat()) is not None and OPENAI_NAME in told.others.get(Tier.PROVIDER, {}))
        told = beat()
        assert told is not None
        assert told.others[Tier.PROVIDER][OPENAI_NAME].verdict is Verdict.DOWN
        await until(lambda: OPENAI_NAME in heart.providers_ill(ams._heard()))
        assert ams.pods.directive(DESK)["attempts"] == ["openai", "azure"], "each region goes by what it meets itself"


def _granting() -> Zone:
    return replace(EU, tenants=(Tenant(("clinic",), hosts=HOSTS),))
