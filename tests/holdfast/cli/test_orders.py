"""`cordon`, `drain` and `uncordon`: what is written where, what the guards answer, and how each command ends."""

from __future__ import annotations

import datetime as dt
import io
import json
import time

import cli_picture
import cli_schemas
import jsonschema
import pytest
from cli_fleet import LEASES

from holdfast import fleet as fleet_shell
from holdfast.cli import beats, foresee, orders_shown
from holdfast.cli.exits import ExitStatus, Failure
from holdfast.cli.options import Options
from holdfast.cli.order import Ordered, Wish, again
from holdfast.cli.overview import Held, Overview, RegionRow
from holdfast.cli.status import Clock
from holdfast.cli.waiting import wait
from holdfast.core import memory
from holdfast.core.values import Cause, Cordon, RegionMemory

AMPLE = "--request-timeout=20s"
WISH = ("--for", "30m", "--reason", "kernel update", AMPLE)


def ordered(fleet, name: str, region: str = "fra") -> dict[str, str] | None:
    return fleet.stands(name, region)["spec"].get("cordon")


def order_there(fleet, name: str, *, minutes: float, reason: str = "rack is moved", drain: bool = False) -> None:
    """Somebody ordered it before."""
    until = dt.datetime.fromtimestamp(time.time() + minutes * 60, tz=dt.UTC)
    said = {"until": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "reason": reason} | ({"drain": True} if drain else {})
    fleet.held(name, "fra")["spec"]["cordon"] = said
    fleet.write()


def remembered(fleet, *, told_by: str) -> None:
    """The zone took fra out for a person."""
    out = Cordon(stands=True, changed_ago_s=60.0, reason="kernel update", remaining_s=900.0, told_by=told_by)
    record = memory.Record(7, 4, {"fra": RegionMemory({Cause.HUMAN: out}), "ams": RegionMemory()})
    for cluster in fleet.clusters.values():
        cluster[LEASES]["items"][1] = cli_picture.vote(kept=record)
    for each in cli_picture.objects(fleet, "regions", "fra"):
        each["status"]["serving"] = False
        cli_picture.turn(each, "Ready", "False", "RegionCordoned", "kernel update")
        cli_picture.turn(each, "RouteInSync", "True", "ReadBack", "off at edge, read back")
    fleet.write()


def test_a_cordon_is_written_into_one_cluster_that_is_not_the_regions_own(sound, run):
    status, out, err = run("cordon", "fra", *WISH)
    lines = out.splitlines()

    assert (status, err) == (ExitStatus.DONE, "")
    assert lines[0].startswith("region/fra cordoned until ")
    assert lines[0].endswith("Z (reason: kernel update), written in ams")
    assert lines[1] == "✔ zone eu: the guards allow it; new calls go to ams (room for 40 more); fra holds 12"
    assert lines[-1] == "next: kubectl holdfast status --until cordoned --timeout 60s"
    assert ordered(sound, "ams")["reason"] == "kernel update"
    assert ordered(sound, "fra") is ordered(sound, "iad") is None


def test_the_reason_is_in_no_list_of_processes(sound, run):
    run("cordon", "fra", *WISH)

    assert not [words for words in sound.asked() if "kernel" in " ".join(words)]


def test_any_cluster_that_can_be_reached_suffices(sound, run):
    sound.clusters["ams"]["patch"] = {"error": "Error from server (Forbidden): regions.holdfast.dev is forbidden"}
    sound.breaks("fra", {"error": "Unable to connect to the server: connection refused"})
    sound.write()
    status, out, _ = run("cordon", "fra", *WISH)

    assert status == ExitStatus.DONE
    assert "written in iad" in out
    assert ordered(sound, "iad")["reason"] == "kernel update"


def test_when_no_cluster_takes_it_each_refusal_is_named(sound, run):
    for cluster in sound.clusters.values():
        cluster["patch"] = {"error": "Error from server (Forbidden): regions.holdfast.dev is forbidden"}
    sound.write()
    status, out, err = run("cordon", "fra", *WISH)

    assert (status, out) == (ExitStatus.FAILED, "")
    assert err.startswith("error: region/fra could not be written: ams: Error from server (Forbidden)")
    assert err.splitlines()[-1] == "next: kubectl auth can-i patch regions.holdfast.dev"


def test_a_write_without_an_answer_is_read_back_before_another_cluster_is_tried(sound, run):
    sound.clusters["ams"]["patch"] = {"error": "Error: context deadline exceeded"}
    sound.write()
    out = run("cordon", "fra", *WISH)[1]

    assert "written in iad" in out
    reads = [words for words in sound.asked() if "--context=ams" in words]
    assert "patch" in reads[-2]
    assert "--raw" in reads[-1]


def test_a_dry_run_writes_nothing_and_asks_the_server_and_the_guards(sound, run):
    status, out, _ = run("cordon", "fra", "--dry-run", *WISH)
    lines = out.splitlines()

    assert status == ExitStatus.DONE
    assert lines[0].startswith("region/fra would be cordoned until ")
    assert lines[0].endswith("(reason: kernel update); ams accepts it")
    assert lines[1].startswith("✔ zone eu: the guards allow it")
    assert lines[-1] == "next: kubectl holdfast cordon fra --for 30m --reason 'kernel update'"
    assert [ordered(sound, name) for name in ("ams", "fra", "iad")] == [None, None, None]
    assert any("--dry-run=server" in words for words in sound.asked())


def test_a_dry_run_that_a_guard_would_refuse_ends_with_four(fleet, run):
    cli_picture.lose_fra(fleet)
    fleet.breaks("fra", {"error": "Unable to connect to the server: connection refused"})
    fleet.write()
    status, out, _ = run("cordon", "ams", "--dry-run", *WISH)

    assert status == ExitStatus.REFUSED
    assert "✖ zone eu: refused: LastServing: ams is the last serving region of zone eu" in out
    assert out.splitlines()[-1] == "next: kubectl holdfast explain region/ams"


def test_an_order_that_a_guard_refuses_is_written_and_said_to_wait(fleet, run):
    cli_picture.lose_fra(fleet)
    fleet.breaks("fra", {"error": "Unable to connect to the server: connection refused"})
    fleet.write()
    status, out, _ = run("cordon", "ams", *WISH)

    assert status == ExitStatus.DONE
    assert out.splitlines()[0].endswith("written in iad; it waits for the guards")


@pytest.mark.parametrize(("flag", "status"), [((), ExitStatus.DONE), (("--error-unchanged",), ExitStatus.UNCHANGED)])
def test_what_stands_already_is_not_written_again(sound, run, flag, status):
    order_there(sound, "iad", minutes=45)
    found, out, _ = run("cordon", "fra", *flag, *WISH)

    assert found == status
    assert "Z already (reason: rack is moved), said in iad" in out
    assert not [words for words in sound.asked() if "patch" in words]


def test_a_shorter_order_is_made_longer_where_it_stands(sound, run):
    order_there(sound, "iad", minutes=5)

    assert "written in iad" in run("cordon", "fra", *WISH)[1]
    assert ordered(sound, "iad")["reason"] == "kernel update"
    assert ordered(sound, "ams") is None


def test_an_order_that_is_over_stands_no_more(sound, run):
    order_there(sound, "ams", minutes=-1)

    assert "cordoned until" in run("cordon", "fra", *WISH)[1]
    assert "is not cordoned" in run("uncordon", "ams", AMPLE)[1]


def test_a_drain_is_a_cordon_that_also_hands_over_calls(sound, run):
    status, out, _ = run("drain", "fra", *WISH)

    assert status == ExitStatus.DONE
    assert out.startswith("region/fra draining until ")
    assert ordered(sound, "ams")["drain"] is True
    assert out.splitlines()[-1] == "next: kubectl holdfast status --until drained --timeout 60s"


def test_a_cordon_becomes_a_drain_and_a_drain_that_is_extended_by_a_cordon_ends(sound, run):
    order_there(sound, "ams", minutes=45)
    assert run("drain", "fra", *WISH)[1].startswith("region/fra draining until ")
    assert ordered(sound, "ams")["drain"] is True

    run("cordon", "fra", "--for", "2h", "--reason", "calls may stay", AMPLE)
    assert "drain" not in ordered(sound, "ams")


def test_an_older_crd_that_would_drop_the_drain_is_found_before_anything_is_written(sound, run):
    for cluster in sound.clusters.values():
        cluster["drainKnown"] = False
    sound.write()
    status, out, err = run("drain", "fra", *WISH)

    assert (status, out) == (ExitStatus.FAILED, "")
    assert "no Region keeps spec.cordon.drain in ams, iad, fra: the CRDs are older than this plugin" in err
    assert err.splitlines()[-1] == "next: kubectl holdfast cordon fra --for 30m --reason 'kernel update'"
    assert ordered(sound, "ams") is None


def test_an_uncordon_takes_the_order_back_wherever_it_stands(sound, run):
    order_there(sound, "ams", minutes=45)
    order_there(sound, "iad", minutes=45)
    remembered(sound, told_by="ams")
    status, out, _ = run("uncordon", "fra", AMPLE)

    assert status == ExitStatus.DONE
    assert out.startswith("region/fra uncordoned, taken back in ams, iad")
    assert "✔ zone eu: the guards allow it; new calls go to ams, fra" in out
    assert ordered(sound, "ams") is ordered(sound, "iad") is None


def test_an_uncordon_of_what_nobody_cordoned_changes_nothing(sound, run):
    assert run("uncordon", "fra", AMPLE)[:2] == (
        ExitStatus.DONE, "region/fra is not cordoned by anybody\nnext: kubectl holdfast explain region/fra\n"
    )  # fmt: skip
    assert run("uncordon", "fra", "--error-unchanged", AMPLE)[0] == ExitStatus.UNCHANGED


def test_an_order_in_a_cluster_that_cannot_be_read_is_named_with_its_end(sound, run):
    remembered(sound, told_by="iad")
    sound.breaks("iad", {"error": "Unable to connect to the server: connection refused"})
    sound.write()
    status, out, _ = run("uncordon", "fra", AMPLE)

    assert status == ExitStatus.FAILED
    assert "still ordered in iad (it cannot be read; the order there ends in " in out
    assert out.splitlines()[-1] == "next: kubectl holdfast uncordon fra"


def test_what_else_keeps_a_region_out_is_said(sound, run):
    order_there(sound, "ams", minutes=45)
    remembered(sound, told_by="ams")
    lost = Cordon(stands=True, changed_ago_s=60.0, reason="2 of 2 observers see fra down")
    human = Cordon(stands=True, changed_ago_s=60.0, reason="x", remaining_s=900.0, told_by="ams")
    record = memory.Record(7, 5, {"fra": RegionMemory({Cause.HUMAN: human, Cause.LOST: lost}), "ams": RegionMemory()})
    for cluster in sound.clusters.values():
        cluster[LEASES]["items"][1] = cli_picture.vote(kept=record)
    sound.write()

    assert "✖ zone eu: refused: lost: fra stays out: 2 of 2 observers see fra down" in run("uncordon", "fra", AMPLE)[1]


def test_guards_that_cannot_be_asked_are_said_to_be_so(sound, run):
    for cluster in sound.clusters.values():
        del cluster[LEASES]["items"][1]
    sound.write()

    assert "? zone eu: its guards could not be asked: the zone's memory could not be read" in run(
        "cordon", "fra", "--dry-run", *WISH
    )[1]


def test_what_was_ordered_shows_in_the_status(sound, run):
    run("drain", "fra", *WISH)
    out = run("status", AMPLE)[1]

    assert "● fra is to be drained until " in out
    assert "said in ams  HumanShift: kernel update" in out
    fra = next(row for row in json.loads(run("status", "-o", "json", AMPLE)[1])["regions"] if row["name"] == "fra")
    assert (fra["ordered"], fra["until"]) == ("kernel update", ordered(sound, "ams")["until"])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["cordon", "fra", "--for", "30m", "--reason", " "], "the reason must have 1 to 256 characters"),
        (["cordon", "fra", "--for", "30m", "--reason", "x" * 257], "the reason must have 1 to 256 characters"),
        (["cordon", "fra", "--for", "99d", "--reason", "x"], "--for must lie between 1s and 30d"),
        (["drain", "fra", "--for", "1ms", "--reason", "x"], "--for must lie between 1s and 30d"),
        (["cordon", "fra", "--reason", "x"], "Missing option '--for'"),
        (["cordon", "frq", "--for", "1h", "--reason", "x"], "no Region is named frq"),
    ],
)
def test_a_wrong_use_says_what_to_type_instead(sound, run, words, error):
    status, out, err = run(*words, AMPLE)

    assert (status, out) == (ExitStatus.USAGE, "")
    assert error in err
    assert err.splitlines()[-1].startswith("next: kubectl holdfast ")
    assert not [words for words in sound.asked() if "patch" in words]


@pytest.mark.parametrize(
    "words", [("cordon", "fra", *WISH), ("drain", "fra", "--dry-run", *WISH), ("uncordon", "fra", AMPLE)]
)
def test_json_has_its_published_shape(sound, run, words):
    out = run(*words, "-o", "json")[1]

    jsonschema.validate(json.loads(out), cli_schemas.schema("order"))


def test_a_command_to_repeat_works_when_it_is_pasted():
    wish = Wish("cordon", "fra", reason="it's down; rm -rf", length_s=7_200.0)

    assert again(wish) == """kubectl holdfast cordon fra --for 2h --reason 'it'"'"'s down; rm -rf'"""


def test_names_of_annotations_are_the_operators_own():
    assert (foresee.EPOCH_ANNOTATION, foresee.MEMORY_ANNOTATION) == (
        fleet_shell.EPOCH_ANNOTATION, fleet_shell.MEMORY_ANNOTATION,
    )  # fmt: skip
    assert beats.VOTE_PREFIX == "holdfast-fleet-"


def test_on_a_terminal_one_is_asked_with_the_guards_answers_in_sight(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    seen = foresee.Foreseen("eu", allowed=False, reason="Capacity", message="no room")

    wish = Wish("cordon", "fra", "2026-11-21T14:05:00Z", "x")
    assert orders_shown.ask(wish, [seen], Options(environment={})) is False
    assert "✖ zone eu: refused: Capacity: no room" in capsys.readouterr().err


# Waiting.


class VirtualClock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def seen(*, serving: bool | None = True, calls: int | None = 3, held: tuple[Held, ...] = ()) -> Overview:
    row = RegionRow(
        "fra", ("eu",), witness=False, read=True, sign="ok", words="yes", serving=serving, calls=calls, room=1, pods=2,
        seen_up=2, observers=2, well={}, ill={}, ordered="", until="", shown_by="fra", age_s=0.4,
    )  # fmt: skip
    return Overview("2026-11-21T14:00:00.000Z", "degraded", "", regions=(row,), held=held)


def waited(verb: str, looks, *, timeout_s: float = 60.0) -> tuple[Ordered, float]:
    clock, left = VirtualClock(), list(looks)

    def look() -> Overview:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Failure):
            raise found
        return found

    told = Ordered(verb, "fra", "written", f"region/fra {verb}", "2026-11-21T14:05:00Z", "kernel update")
    return wait(told, look, timeout_s=timeout_s, clock=Clock(clock.now, clock.sleep)), clock.at


HELD = Held("ActionHeld", "warning", "an action on fra is held back", "Capacity", "no room", "fra")
NO_QUORUM = Held("QuorumHeld", "bad", "zone eu has no majority", "NoMajority", "nobody holds 2 of 3 votes", "eu")
FAILED = Failure("no region could be read", next_command="x")


@pytest.mark.parametrize(
    ("verb", "looks", "after_s"),
    [
        ("cordon", [seen(), FAILED, seen(serving=False)], 2.0),
        ("drain", [seen(calls=0), seen(serving=False, calls=None), seen(serving=False, calls=0)], 2.0),
        ("uncordon", [seen(serving=False), seen(serving=None), seen()], 2.0),
        # A refusal from before the order says nothing about it.
        ("cordon", [seen(held=(HELD,)), seen(held=(HELD,)), seen(serving=False)], 2.0),
    ],
)
def test_it_waits_until_the_fleet_has_done_it(verb, looks, after_s):
    told, at = waited(verb, looks)

    assert (told.outcome, at) == ("done", after_s)


@pytest.mark.parametrize("held", [HELD, NO_QUORUM])
def test_a_guard_that_goes_on_refusing_ends_the_wait(held):
    told, at = waited("cordon", [seen(held=(held,))])

    assert (told.outcome, at) == ("refused", 4.0)
    assert told.words == (
        f"refused: {held.reason}: {held.message}; the order stands and waits until it ends or is taken back"
    )


def test_the_end_of_the_time_says_what_was_seen_last():
    told, at = waited("drain", [seen(serving=False, calls=2)], timeout_s=5.0)

    assert (told.outcome, at) == ("timed-out", 5.0)
    assert told.words == "region/fra drain; not done after 5 s: serving: yes, 2 calls in flight"


def test_the_outcomes_of_waiting_have_their_own_statuses(sound, run):
    status, out, _ = run("cordon", "fra", "--wait", "--timeout", "1ms", *WISH)

    assert status == ExitStatus.TIMED_OUT
    assert "not done after 0 s: serving: yes, 12 calls in flight" in out
