"""The simulated Telnyx where its own rules matter: commands, events, limits and what a PATCH replaces."""

from __future__ import annotations

import pytest

from holdfast_gameday.world.telnyx_calls import TelnyxCall, TelnyxCalls
from holdfast_gameday.world.telnyx_faults import Fault, Faults, Limits
from holdfast_gameday.world.telnyx_state import Rejected, TelnyxState

FRA, AMS = "wss://fra/media", "wss://ams/media"


class Desk:
    """Calls on a clock that is set by hand, and the events that were told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[str] = []
        self.calls = TelnyxCalls(lambda: self.now, told=self._tell, opens=lambda url: url != FRA)

    def _tell(self, _call: TelnyxCall, kind: str, _about: object) -> None:
        self.told.append(kind)


def test_a_stream_that_is_refused_leaves_the_call_silent_and_is_told() -> None:
    desk = Desk()
    call = desk.calls.place("1")
    desk.calls.command(call.call_control_id, "streaming_start", {"stream_url": FRA})
    assert (call.stream, desk.told) == (None, ["streaming.failed"])
    assert call.alive


def test_a_second_stream_waits_until_the_first_is_stopped() -> None:
    desk = Desk()
    call = desk.calls.place("1", stream_url=AMS)
    with pytest.raises(Rejected) as refused:
        desk.calls.command(call.call_control_id, "streaming_start", {"stream_url": AMS})
    assert refused.value.status == 422
    desk.calls.command(call.call_control_id, "streaming_stop", {})
    desk.calls.command(call.call_control_id, "streaming_start", {"stream_url": AMS})
    assert desk.told == ["streaming.started", "streaming.stopped", "streaming.started"]


def test_a_call_that_is_over_takes_no_command() -> None:
    desk = Desk()
    call = desk.calls.place("1", stream_url=AMS)
    desk.calls.hang_up(call)
    for name in ("streaming_start", "streaming_stop", "transfer", "hangup"):
        with pytest.raises(Rejected) as over:
            desk.calls.command(call.call_control_id, name, {"stream_url": AMS, "to": "+49"})
        assert (over.value.status, over.value.code) == (422, "90018")
    assert desk.calls.active("1") == []


def test_a_command_that_was_refused_may_be_repeated_under_its_id() -> None:
    desk = Desk()
    call = desk.calls.place("1", stream_url=AMS)
    start = {"stream_url": AMS, "command_id": "c"}
    with pytest.raises(Rejected):
        desk.calls.command(call.call_control_id, "streaming_start", start)
    desk.calls.command(call.call_control_id, "streaming_stop", {})
    desk.calls.command(call.call_control_id, "streaming_start", start)
    assert call.stream is not None


def test_a_patch_of_inbound_puts_what_it_does_not_name_back_to_its_default() -> None:
    state = TelnyxState()
    trunk = state.add("fqdn_connection", connection_name="trunk", inbound={"timeout_1xx_secs": 9})
    state.write("fqdn_connection", trunk, {"inbound": {"timeout_2xx_secs": 30}}, source="t")
    inbound = state.get("fqdn_connection", trunk)["inbound"]
    assert (inbound["timeout_1xx_secs"], inbound["timeout_2xx_secs"]) == (3, 30)


def test_an_application_with_numbers_is_not_deleted() -> None:
    state = TelnyxState()
    made = state.add("texml_application", friendly_name="a", voice_url="https://a")
    number = state.add("phone_number", phone_number="+49301", connection_id=made)
    with pytest.raises(Rejected):
        state.delete("texml_application", made, source="t")
    state.write("phone_number", number, {"connection_id": ""}, source="t")
    state.delete("texml_application", made, source="t")


def test_limits_are_by_family_and_end_with_their_window() -> None:
    now = 0.0
    limits = Limits(lambda: now, limit=1, window_s=10.0)
    assert limits.spend("fqdns") == (
        True,
        {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "10"},
    )
    assert limits.spend("fqdns")[0] is False
    assert limits.spend("calls")[0] is True
    now = 10.0
    assert limits.spend("fqdns")[0] is True


def test_a_fault_hits_its_path_and_its_kind_of_request_only_so_often() -> None:
    faults = Faults()
    faults.arm(Fault("commit", path="/phone_numbers", times=1))
    assert faults.take("/phone_numbers/1", writes=False) is None
    assert faults.take("/fqdns/1", writes=True) is None
    assert faults.take("/phone_numbers/1", writes=True) is not None
    assert faults.take("/phone_numbers/1", writes=True) is None
