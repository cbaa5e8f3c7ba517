"""The screen of a running game day: plain where nobody watches, readable where somebody does."""

import io

import pytest

from holdfast_gameday import view
from holdfast_gameday.result import Moment


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_off_a_terminal_each_thing_is_one_line_without_escape_codes():
    out = io.StringIO()
    with view.viewing(view.console(out)) as seen:
        seen.moment(Moment(at=0.0, who="game day", what="fra killed"))
        seen.show(view.Snapshot(clock=1.0))

    assert out.getvalue().splitlines() == ["  +0.00 s  game day        fra killed"]


def test_the_width_that_columns_asks_for_is_kept_off_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")

    assert view.console(io.StringIO()).width == 60


def test_the_cursor_comes_back_when_the_run_is_interrupted(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = _Terminal()

    def run():
        with view.viewing(view.console(out)) as seen:
            seen.show(view.Snapshot(clock=0.0, regions=(view.RegionRow("fra", "serving", 6),)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()

    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_no_color_is_obeyed_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out = _Terminal()
    console = view.console(out)
    console.print(view.screen(view.Snapshot(clock=0.0, regions=(view.RegionRow("fra", "dead", 0),)), ()))

    assert "\x1b[3" not in out.getvalue()
    assert "✗ dead" in out.getvalue()


def test_a_state_is_told_by_word_and_sign():
    out = io.StringIO()
    rows = tuple(view.RegionRow(name, state, 1) for name, state in (("fra", "dead"), ("ams", "serving")))
    calls = (view.CallCell(1, "ams", speaking=True), view.CallCell(2, "fra", speaking=False, lost=True))
    view.console(out).print(view.screen(view.Snapshot(clock=2.0, regions=rows, calls=calls), ()))

    assert "✗ dead" in out.getvalue()
    assert "✓ serving" in out.getvalue()
    assert "2 fra ✗" in out.getvalue()
