"""The simulator stands in for the shell: where both name the same number, it is the same number."""

from __future__ import annotations

from holdfast import fleet, fleet_origins, fleet_register, fleet_steps, loop
from holdfast.levers import base
from holdfast_gameday.simulation import book, operators, requests, votes


def test_votes_have_the_deadlines_of_the_shell():
    assert votes.CALL_DEADLINE_S == fleet_register.CALL_DEADLINE_S
    assert votes.STORE_DEADLINE_S == fleet.STORE_DEADLINE_S
    assert votes.CONFIRM_DEADLINE_S == fleet.CONFIRM_DEADLINE_S
    assert votes.RETRY_S == fleet.RETRY_S


def test_levers_are_left_alone_as_long_as_the_shell_leaves_them():
    assert book.FIRST_RETRY_S == fleet_origins.FIRST_RETRY_S
    assert book.LAST_RETRY_S == fleet_origins.LAST_RETRY_S


def test_writes_and_rereads_come_when_those_of_the_shell_do():
    assert operators.WRITE_WITHIN_ACK_S == fleet_steps.WRITE_WITHIN_ACK_S
    assert requests.WRITE_DEADLINE_S == base.WRITE_DEADLINE_S
    assert operators.REREAD_AFTER_TAKEOVER_S == loop.REREAD_AFTER_TAKEOVER_S
    assert operators.REREAD_EVERY_S == loop.REREAD_EVERY_S
