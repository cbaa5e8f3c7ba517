"""What people look at: the table, the page and its picture say the same as the result, and nothing leaks from them."""

import io
import re
from xml.etree import ElementTree as ET

import gameday_builders as build
import pytest
from rich.console import Console

from holdfast_gameday import report, timeline
from holdfast_gameday.result import Outcome


def _table(result, *, width=10_000):
    out = io.StringIO()
    report.write_table(result, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def test_the_table_shows_the_figures_and_each_claim():
    text = _table(build.good_run())

    assert "audible gap p50 / p95 / max" in text
    assert "1060 ms / 1330 ms / 1330 ms" in text
    assert text.count("✓") == 6
    assert "✓ PASSED A region is lost while calls are live" in text


def test_the_table_has_no_escape_codes_where_none_are_wanted():
    assert "\x1b" not in _table(build.good_run())


def test_a_narrow_table_keeps_within_its_width():
    assert max(len(line) for line in _table(build.good_run(), width=60).splitlines()) <= 60


def test_a_lost_call_is_named():
    lost = build.moved_call(3, ended_cleanly=False).model_copy(update={"note": "no further verb"})

    assert "lost: call 3 no further verb" in _table(build.result((build.moved_call(1), lost)))


def test_the_page_is_one_file_that_asks_nothing_of_the_network():
    page = report.page(build.good_run())

    outside = re.findall(r'(?:src|href)="?[^#"]|url\(|@import|<script', page)
    assert outside == []
    assert len(page.encode()) < 1_000_000
    assert "p95 1330 ms" in page


def test_names_from_outside_cannot_write_html():
    evil = build.good_run().model_copy(update={"title": "<script>alert(1)</script>"})

    assert "<script>" not in report.page(evil)


def test_the_picture_draws_every_stay_of_every_call():
    result = build.good_run()
    root = ET.fromstring(timeline.svg(result))  # our own text, not a stranger's

    drawn = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if len(rect)]
    assert len(drawn) == sum(len(call.stays) for call in result.calls)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_an_exit_status_and_only_a_pass_is_zero(outcome):
    assert (report.EXIT_STATUS[outcome] == 0) is (outcome is Outcome.PASSED)
