"""The deliberate defects and the runner that puts them in. Whether each is noticed is what `make mutants` finds out."""

import ast
from dataclasses import replace

import pytest

from holdfast_gameday.mutants import __main__ as runner
from holdfast_gameday.mutants import defect as defects
from holdfast_gameday.mutants import page, trial
from holdfast_gameday.mutants.catalogue import DEFECTS
from holdfast_gameday.mutants.defect import OPERATOR, Defect, NotApplicable
from holdfast_gameday.mutants.trial import Verdict

TYPO = Defect("typo", "nothing", "lease", "DURATION_S = 5.0", "DURATION_S = 5.0.0")
SOUND = Verdict("none", 1.0)

REPORT = """<testsuites><testsuite>
<testcase classname="tests.holdfast.core.test_lease" name="test_a_vote_is_taken">
  <{kind} message="{message}"/></testcase>
<testcase classname="tests.holdfast.core.test_lease" name="test_a_fence_ends"><failure message="{second}"/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: each.name)
def test_a_defect_still_fits_the_core_and_leaves_it_python(defect):
    source = (OPERATOR / "core" / f"{defect.module}.py").read_text()

    changed = defect.applied_to(source)

    assert changed != source
    ast.parse(changed)


def test_there_are_enough_defects_and_each_says_whom_it_would_harm():
    assert len(DEFECTS) >= 25
    assert len({each.name for each in DEFECTS}) == len(DEFECTS)
    assert [each.name for each in DEFECTS if len(each.harm.split()) < 5] == []


@pytest.mark.parametrize(("source", "times"), [("", 0), ("x = 1\nx = 1\n", 2)])
def test_a_defect_whose_text_is_gone_or_stands_twice_is_named(source, times):
    with pytest.raises(NotApplicable, match=f"^double: its text stands {times} times in core/place.py, not once$"):
        Defect("double", "nothing", "place", "x = 1", "x = 2").applied_to(source)


def test_a_copy_differs_in_the_one_line_and_the_tree_does_not(tmp_path):
    before = (OPERATOR / "core" / "lease.py").read_text()

    package = defects.copy(tmp_path / "operator", TYPO)

    assert (package / "holdfast" / "core" / "lease.py").read_text() == before.replace("5.0\n", "5.0.0\n", 1)
    assert (package / "holdfast" / "core" / "guards.py").read_bytes() == (OPERATOR / "core" / "guards.py").read_bytes()
    assert (OPERATOR / "core" / "lease.py").read_text() == before


def test_a_copy_that_does_not_even_import_is_noticed_by_nobody(tmp_path):
    """A crash says nothing about what the simulator is worth."""
    found = trial.simulate(defects.copy(tmp_path / "operator", TYPO), TYPO, range(1, 3))

    assert "breach" not in found
    assert found["crashes"] == 1
    assert "SyntaxError" in found["why"]


def test_a_module_that_the_simulator_never_imports_is_left_to_the_tests(tmp_path):
    unseen = Defect("moved", "nothing", "placement", "USER = 65532", "USER = 65533")
    found = trial.simulate(defects.copy(tmp_path / "operator", unseen), unseen, range(1, 3))

    assert found == {"seeds": 0, "crashes": 0, "why": "the simulator does not drive placement"}


@pytest.mark.parametrize("message", ["AssertionError: 2 is not 1", "assert 2 == 1", "Failed: DID NOT RAISE ValueError"])
def test_a_failed_assertion_notices(message):
    report = REPORT.format(kind="failure", message=message, second="assert False")

    assert trial.first_assertion(report) == ("test_lease::test_a_vote_is_taken", message)


@pytest.mark.parametrize(("kind", "message"), [("failure", "KeyError: 1"), ("error", "AssertionError: in a fixture")])
def test_a_crash_of_one_test_leaves_it_to_the_next(kind, message):
    report = REPORT.format(kind=kind, message=message, second="assert False")

    assert trial.first_assertion(report) == ("test_lease::test_a_fence_ends", "assert False")


def test_crashes_alone_notice_nothing_and_are_told():
    report = REPORT.format(kind="failure", message="KeyError: 1", second="ImportError: no")

    assert trial.first_assertion(report) == ("", "tests.holdfast.core.test_lease::test_a_vote_is_taken: KeyError: 1")


def _verdicts(by_simulator, by_test=0, by_nobody=0):
    seen = [Verdict(f"s{each}", 1.0, invariant="I3 FENCED", seed=each) for each in range(by_simulator)]
    seen += [Verdict(f"t{each}", 1.0, test="test_lease::test_it") for each in range(by_test)]
    return [*seen, *(Verdict(f"n{each}", 1.0) for each in range(by_nobody))]


def test_a_run_passes_when_all_are_noticed_and_enough_of_them_by_the_simulator(capsys):
    assert runner.report(iter([SOUND, *_verdicts(15, by_test=2)]), complete=True) == 0

    told = capsys.readouterr().out
    assert "simulator: I3 FENCED, seed 14" in told
    assert "test: test_lease::test_it" in told
    assert told.endswith("17 defects: 15 noticed by the simulator alone, 2 by tests, 0 by nobody\n")


def test_a_run_fails_by_one_survivor(capsys):
    assert runner.report(iter([SOUND, *_verdicts(20, by_nobody=1)]), complete=True) == 1
    assert capsys.readouterr().err == "unnoticed: n0\n"


def test_a_run_fails_when_the_simulator_notices_too_few(capsys):
    assert runner.report(iter([SOUND, *_verdicts(14, by_test=20)]), complete=True) == 1
    assert capsys.readouterr().err == "the simulator has to notice 15 of them\n"


def test_a_run_of_some_defects_is_held_to_no_number():
    assert runner.report(iter([SOUND, *_verdicts(0, by_test=1)]), complete=False) == 0


@pytest.mark.parametrize("sound", [
    replace(SOUND, invariant="I3 FENCED", seed=7), replace(SOUND, test="test_it"), replace(SOUND, why="a crash"),
])
def test_a_run_fails_when_something_is_noticed_in_the_core_as_it_is(sound, capsys):
    assert runner.report(iter([sound, *_verdicts(20)]), complete=True) == 1
    assert capsys.readouterr().err.startswith("the core without a defect does not pass: ")


def test_the_page_says_of_each_defect_whom_it_harms_and_who_noticed():
    told = page.render(DEFECTS[:2], [*_verdicts(1, by_test=1)], seeds=200)

    assert "puts 2 defects into a copy" in told
    assert "the simulator alone noticed 1, the tests 1, nobody 0" in told
    assert told.endswith(
        f"| {DEFECTS[0].name} | {DEFECTS[0].harm} | simulator: I3 FENCED, seed 0 |\n"
        f"| {DEFECTS[1].name} | {DEFECTS[1].harm} | test: test_lease::test_it |\n"
    )


def test_an_unknown_name_is_a_wrong_call(capsys):
    with pytest.raises(SystemExit) as stopped:
        runner.main(["no-such-defect"])

    assert stopped.value.code == 2
    assert "there is no defect named no-such-defect" in capsys.readouterr().err
