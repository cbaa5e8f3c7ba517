"""How pages take their tables from the code. That they are fresh is a matter of tidiness and tested there."""

import pytest

from holdfast.core import guards, reasons, remedies
from holdfast_gameday import decisions_page, pages

ONE_PAGE = {"page.md": {"numbers": lambda: "new"}}
PAGE = "# Title\n\nBefore.\n\n<!-- from the code: numbers -->\nold\n<!-- end -->\n\nAfter.\n"


def test_only_what_stands_between_the_marks_is_written():
    after = pages.written(PAGE, {"numbers": lambda: "| 1 |"})

    assert after == "# Title\n\nBefore.\n\n<!-- from the code: numbers -->\n\n| 1 |\n\n<!-- end -->\n\nAfter.\n"
    assert pages.written(after, {"numbers": lambda: "| 1 |"}) == after


@pytest.mark.parametrize("names", [(), ("numbers", "words"), ("words",)])
def test_a_part_that_is_marked_and_not_made_or_made_and_not_marked_is_an_error(names):
    with pytest.raises(ValueError, match=r"^marked are numbers, made are"):
        pages.written(PAGE, dict.fromkeys(names, lambda: ""))


def test_a_check_names_the_stale_page_and_writes_nothing(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    assert pages.main(["--check", "--root", str(tmp_path)], pages=ONE_PAGE) == 1
    assert capsys.readouterr().err == "stale: page.md (run `make docs`)\n"
    assert page.read_text() == PAGE


def test_what_was_written_is_fresh(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)

    assert pages.main(["--root", str(tmp_path)], pages=ONE_PAGE) == 0
    assert pages.main(["--check", "--root", str(tmp_path)], pages=ONE_PAGE) == 0


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.__name__)
def test_every_guard_has_a_reason_of_its_name_a_remedy_and_a_sentence(guard):
    code = decisions_page.code_of(guard)

    assert remedies.of(code) != remedies.UNKNOWN_CODE
    assert f"| `{code}` | {guard.__doc__.split('.')[0].split()[0]}" in decisions_page.guard_table()


def test_what_may_be_overridden_is_marked_so():
    marked = [line.split("`")[1] for line in decisions_page.guard_table().splitlines() if line.endswith("| yes |")]

    assert sorted(marked) == sorted(reasons.OVERRIDABLE)


def test_the_worked_example_is_one_decision_and_one_refusal():
    assert "decided   cordon fra (lost)" in decisions_page.example()
    assert "turn fra off at edge, as eu/8/edge/fra/off" in decisions_page.example()
    assert "NotConfirmed: 1 of 2 observers see fra down, 2 are needed" in decisions_page.refused()
    assert "steps" not in decisions_page.refused()
