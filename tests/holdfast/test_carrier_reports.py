"""What pods' requests to a carrier meet is told by the carrier's name, failures only, and within the pod's own zone."""

from __future__ import annotations

from dataclasses import replace

from control_parts import until
from provider_parts import DESK, PollingPod, RegionDesk, desired, polling, zone

from holdfast.core.carriers import CarrierFailure
from holdfast.core.means import Carrier
from holdfast.core.reports import Failed, Report, Tally
from holdfast_bridge import carrier

TWILIO = Carrier("twilio-eu", "twilio", "AC1", "", "secret")


def region() -> RegionDesk:
    return RegionDesk(desired(of=replace(zone(), carriers=(TWILIO,))))


def report(errors: int, ok: int = 0, name: str = "twilio-eu") -> Report[CarrierFailure]:
    return Report(1, {name: Tally(ok, 0.0 if ok else None, {CarrierFailure.ERROR: Failed(errors)} if errors else {})})


async def test_a_live_calls_failed_request_reaches_the_operator_with_the_next_report():
    desk = region()
    async with desk.serving() as url:
        pod = PollingPod("p-1", url)
        async with polling(pod):
            await until(lambda: len(desk.bridges.calls_by_pod()) == 1)
            pod.carriers.add("twilio-eu", carrier.CarrierFailure.TIMEOUT)
            await until(lambda: desk.met == [("twilio-eu", "timeout")], within_s=30)


def test_many_failures_of_one_report_are_told_once_and_successes_not_at_all():
    desk = region()
    desk.carriers.hear(DESK, "p-1", Report(1))
    desk.carriers.hear(DESK, "p-1", report(errors=9))
    desk.carriers.hear(DESK, "p-1", report(errors=9, ok=5))
    assert desk.met == [("twilio-eu", "5xx")]


def test_a_pod_speaks_of_no_carrier_but_its_zones():
    desk = region()
    desk.carriers.hear(DESK, "p-1", Report(1))
    desk.carriers.hear(DESK, "p-1", report(errors=2, name="another-zones"))
    assert desk.met == []


def test_a_pod_that_was_silent_is_new_again_and_what_it_says_of_long_ago_is_history():
    desk = region()
    old = Report(1, {"twilio-eu": Tally(failed={CarrierFailure.ERROR: Failed(4, ago_s=31.0)})})
    desk.carriers.hear(DESK, "p-1", old)
    desk.carriers.forget(DESK, "p-1")
    desk.carriers.hear(DESK, "p-1", old)
    assert desk.met == []


def test_every_kind_that_a_pod_may_tell_is_known_here():
    assert {each.value for each in carrier.CarrierFailure} == {each.value for each in CarrierFailure}
