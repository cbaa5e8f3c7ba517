"""What callers and clusters saw, as figures: moved, heard again, silent for how long, cordoned when."""

from holdfast_gameday import measure
from holdfast_gameday.measure import FaultTime, Kind
from holdfast_gameday.world.callers import CallReport, Outcome, StreamVisit
from holdfast_gameday.world.callers_ear import Due, Gap, Segment
from holdfast_gameday.world.callers_script import Turn

FAULT = FaultTime(monotonic=100.0, unix=1_795_250_000.0)
HOSTS = {"fra.example": "fra", "ams.example": "ams"}


def _visit(host, opened, closed=None):
    return StreamVisit(host, opened - 0.1, opened, opened, closed, None)


def _segment(since, until):
    return Segment(since=since, until=until, speaker=1, utterance=1, first=0, last=9, total=10, text="tell")


def _report(**changes):
    facts = {
        "sid": "CA1", "index": 7, "to": "+49", "placed_at": 90.0, "ended_at": 120.0, "setup_s": 0.2,
        "first_audio_s": 0.4,
        "visits": (_visit("fra.example", 90.2, 100.05), _visit("ams.example", 100.2, 120.0)),
        "segments": (_segment(95.0, 100.0), _segment(100.5, 103.0)),
        "gaps": (Gap(92.0, 92.6, Due.ANSWER), Gap(100.0, 100.5, Due.UTTERANCE), Gap(110.0, 110.7, Due.ANSWER)),
        "turns": (Turn("what is my code", "4711", 118.0, 1, 118.9, "your code is 4711"),),
        "frames_heard": 500, "frames_skipped": 0, "frames_repeated": 0, "carrier_said": (), "events": (),
        "silences": (),
        "outcome": Outcome.AGENT_HUNG_UP, "detail": "",
    } | changes  # fmt: skip
    return CallReport(**facts)


def _measured(**changes):
    return measure.call_result(
        _report(**changes), Kind("clinic/front-desk"), fault=FAULT, lost_host="fra.example", region_of=HOSTS, end=25.0
    )


def test_a_call_that_changed_region_is_shown_with_both_its_stays():
    result = _measured()

    assert result.moved
    assert result.survived
    assert [(stay.region, stay.start, stay.end) for stay in result.stays] == [("fra", -9.8, 0.05), ("ams", 0.2, 20.0)]


def test_the_gap_is_the_longest_silence_after_the_fault_and_the_hand_over_is_told_apart():
    result = _measured()

    assert (result.gap_ms, result.handover_ms, result.handover_start) == (700, 500, 0.0)


def test_a_call_elsewhere_did_not_move():
    result = _measured(visits=(_visit("ams.example", 90.2, 120.0),))

    assert not result.moved
    assert result.handover_ms is None


def test_a_call_that_was_never_heard_again_elsewhere_is_lost():
    result = _measured(segments=(_segment(95.0, 100.0),), outcome=Outcome.LOST, detail="hangup-verb")

    assert not result.survived
    assert result.note == "lost: hangup-verb"


def test_a_wrong_answer_is_a_forgotten_fact():
    forgot = (Turn("what is my code", "4711", 118.0, 2, None, ""),)

    assert _measured(turns=forgot).fact_kept is False
    assert _measured(turns=()).fact_kept is None


def test_the_times_of_a_cordon_come_from_the_policys_own_record():
    decision = {
        "action": "cordon", "region": "fra", "detected": "2026-11-21T08:33:21.500Z",
        "decided": "2026-11-21T08:33:25.000Z", "readBack": "2026-11-21T08:33:25.250Z", "message": "2 of 2 see it down",
    }  # fmt: skip
    older = decision | {"decided": "2026-11-21T08:00:00.000Z"}
    policy = {"status": {"lastDecisions": [older, decision]}}

    times = measure.cordon_times(policy, region="fra", fault=FAULT)

    assert (times.detected, times.decided, times.read_back) == (1.5, 5.0, 5.25)
    assert measure.cordon_times(policy, region="ams", fault=FAULT).decided is None
    assert measure.cordon_times(None, region="fra", fault=FAULT).read_back is None
