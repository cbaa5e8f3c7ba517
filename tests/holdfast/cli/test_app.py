"""The plugin's manners: help, exit statuses, failures in one shape, colour and width."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cli_picture
import cli_stories
import click
import pytest

from holdfast.cli import console, lines, render
from holdfast.cli.app import cli, main
from holdfast.cli.exits import ExitStatus
from holdfast.cli.options import Options

PLUGIN = Path(sys.executable).parent / "kubectl-holdfast"
HEAVY = ("kopf", "httpx", "kubernetes", "aiohttp", "pydantic", "asyncio", "rich", "holdfast.core")


@pytest.fixture
def said(fleet, capsys):
    """Run it; the status, what was printed, and what was said besides."""
    cli_stories.lost_region(fleet)
    fleet.clusters["fra"] = fleet.clusters["iad"]
    fleet.namespaces["ams"] = "clinic"
    fleet.write()

    def run(*words: str) -> tuple[int, str, str]:
        status = main(list(words))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def examples() -> list[str]:
    found = []
    for command in (cli, *cli.commands.values()):
        with click.Context(command, help_option_names=["-h", "--help"]) as context:
            lines = command.get_help(context).split("Examples:")[1].split("Options:")[0].splitlines()
        found += [line.strip() for line in lines if line.strip()]
    return found


@pytest.mark.parametrize("line", examples())
def test_every_example_of_the_help_works(fleet, run, line, monkeypatch):
    cli_picture.sound(fleet, whole=True)
    program, words = re.fullmatch(r"(kubectl holdfast|holdfast) (.*)", line).groups()
    monkeypatch.setattr("sys.argv", ["kubectl-holdfast" if " " in program else "holdfast"])
    status, out, err = run(*shlex.split(words), "--request-timeout=20s")

    assert (status, err) == (ExitStatus.DONE, "")
    assert out


def test_every_command_has_two_examples_at_least():
    for command in (cli, *cli.commands.values()):
        with click.Context(command, help_option_names=["-h", "--help"]) as context:
            text = command.get_help(context).split("Examples:")[1].split("Options:")[0]
        assert len([line for line in text.splitlines() if "holdfast" in line]) >= 2, command.name


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["explain", "-h"]])
def test_help_is_an_answer(said, words):
    status, out, err = said(*words)

    assert (status, err) == (ExitStatus.DONE, "")
    assert out.startswith("Usage: kubectl holdfast")


@pytest.mark.parametrize("words", [[], ["explain"]])
def test_nothing_asked_is_helped_and_is_a_wrong_use(said, words):
    status, out, err = said(*words)

    assert (status, out) == (ExitStatus.USAGE, "")
    assert "Usage: kubectl holdfast" in err


@pytest.mark.parametrize(
    ("words", "error", "next_command"),
    [
        (["expain", "fra"], "No such command 'expain'. Did you mean 'explain'?", "kubectl holdfast -h"),
        (["explain", "fra", "--color", "pink"], "Invalid value for '--color'", "kubectl holdfast explain -h"),
        (["explain", "fra", "--request-timeout", "soon"], "soon is not a duration such as 2s", "explain -h"),
        (["explain", "fra", "--request-timeout", "0"], "0 is not a duration", "explain -h"),
        (["explain", "fra", "--at", "soon"], "soon is neither a time such as", "kubectl holdfast explain -h"),
        (["explain", "planet", "fra"], "the kind must be one of region, lever", "kubectl holdfast explain fra"),
        (["explain", "region", "fra", "now"], "the kind must be one of", "kubectl holdfast explain now"),
    ],
)
def test_a_wrong_use_says_what_to_type_instead(said, words, error, next_command):
    status, out, err = said(*words)

    assert (status, out) == (ExitStatus.USAGE, "")
    assert err.startswith("error: ")
    assert error in err
    assert err.splitlines()[-1].startswith("next: ")
    assert err.rstrip().endswith(next_command)


def test_the_statuses_are_those_of_the_page():
    """A script that was written against them must go on working."""
    assert {status.name: int(status) for status in ExitStatus} == {
        "DONE": 0, "FAILED": 1, "USAGE": 2, "UNCHANGED": 3, "REFUSED": 4, "TIMED_OUT": 5, "INTERRUPTED": 130,
    }  # fmt: skip


def test_without_kubectl_it_says_so(said, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    status, _, err = said("explain", "fra")

    assert status == ExitStatus.FAILED
    assert err == "error: kubectl is not on PATH\nnext: kubectl version --client\n"


def test_a_kubeconfig_without_a_current_context_or_that_cannot_be_read(said, fleet):
    fleet.current = ""
    fleet.write()
    assert said("explain", "fra")[0] == ExitStatus.USAGE

    (Path(fleet.path) / "kubectl").write_text("#!/bin/sh\necho 'error: yaml: broken' >&2\nexit 1\n")
    status, _, err = said("explain", "fra")
    assert status == ExitStatus.FAILED
    assert err.startswith("error: the kubeconfig cannot be read: error: yaml: broken")


def test_an_unexpected_error_shows_its_trace_on_request_only(said, fleet):
    fleet.show("ams", regions=[{"metadata": {}}])
    fleet.write()
    status, out, err = said("explain", "fra", "--request-timeout=20s")
    assert (status, out) == (ExitStatus.FAILED, "")
    assert err.startswith("error: unexpected: KeyError: 'name'\nnext: kubectl holdfast explain fra")

    assert "Traceback" in said("explain", "fra", "-v", "--request-timeout=20s")[2]


def test_run_alone_it_names_itself(said, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/holdfast"])

    assert said("-h")[1].startswith("Usage: holdfast")
    assert said("explain", "frq", "--request-timeout=20s")[2].endswith("next: holdfast explain fra\n")
    assert "next: holdfast explain region/fra --at" in said("explain", "fra", "--request-timeout=20s")[1]


def test_options_are_taken_before_and_after_the_command(said, fleet, monkeypatch):
    monkeypatch.setenv("HOLDFAST_CONTEXTS", "fra")
    assert said("--contexts=iad", "--request-timeout=20s", "explain", "edge")[0] == ExitStatus.DONE
    asked = fleet.asked()
    assert {word for words in asked for word in words if word.startswith("--context=")} == {"--context=iad"}

    assert said("--color=always", "explain", "--color=never", "edge", "--request-timeout=20s")[1].isprintable() is False
    assert "\x1b" not in said("--color=always", "explain", "--color=never", "edge", "--request-timeout=20s")[1]


def test_a_chosen_context_stays_chosen_in_the_next_command(said, fleet):
    out = said("explain", "ams", "--context=iad", "--kubeconfig=/tmp/k", "--request-timeout=20s")[1]

    assert out.endswith("next: kubectl --context=iad describe region ams\n")
    assert all("--kubeconfig=/tmp/k" in words for words in fleet.asked())


# As a process.


def process(fleet, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PLUGIN, *words], capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": f"{fleet.path}:/usr/bin:/bin", "LANG": "C.UTF-8", **environment},
    )  # fmt: skip


def test_off_a_terminal_there_is_no_colour_and_one_row_is_one_line(said, fleet):
    done = process(fleet, "explain", "fra", "--request-timeout=20s", COLUMNS="40")

    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []
    assert max(map(len, done.stdout.splitlines())) > 150
    assert "✖ fra takes no new calls" in done.stdout


@pytest.mark.parametrize(
    ("words", "environment", "coloured"),
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        (["--color=always"], {"NO_COLOR": "1"}, True),
        (["--color=never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_flag_then_environment_then_terminal(said, fleet, words, environment, coloured):
    done = process(fleet, "explain", "edge", "--request-timeout=20s", *words, **environment)

    assert ("\x1b[" in done.stdout) is coloured


def test_a_terminal_without_our_signs_gets_plain_ones(said, fleet):
    done = process(fleet, "explain", "fra", "--request-timeout=20s", HOLDFAST_ASCII="1")

    assert done.stdout.startswith("x fra takes no new calls")
    assert not set("✔✖▲●") & set(done.stdout)


@pytest.mark.parametrize("output", ["text", "json"])
def test_whoever_reads_only_the_beginning_gets_no_complaint(said, fleet, output):
    done = subprocess.run(
        ["/bin/bash", "-c", f"{PLUGIN} explain fra -o {output} --request-timeout=20s | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": f"{fleet.path}:/usr/bin:/bin", "LANG": "C.UTF-8"},
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("to", [os.killpg, os.kill], ids=["as a terminal does it", "to the plugin alone"])
def test_ctrl_c_is_answered_at_once_and_leaves_no_kubectl_behind(said, fleet, to):
    fleet.breaks("ams", "hang")
    fleet.write()
    process = subprocess.Popen(
        [PLUGIN, "explain", "fra", "--request-timeout=60s"], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": f"{fleet.path}:/usr/bin:/bin", "LANG": "C.UTF-8"},
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while len(fleet.asked()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    to(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=10)

    assert (process.returncode, out, err.strip()) == (ExitStatus.INTERRUPTED, "", "")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize("words", [["--help"], ["explain", "-h"], ["cordon", "-h"], ["doctor", "-h"]])
def test_help_imports_nothing_heavy(words):
    program = f"import sys; from holdfast.cli.app import main; main({words}); print('|', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    imported = done.stdout.rsplit("|", 1)[1].split()

    assert [name for name in imported if name.startswith(HEAVY)] == []


# A console's width.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_words_are_folded_under_their_beginning(said, fleet, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    status = main(["explain", "fra", "--request-timeout=20s"])
    assert status == ExitStatus.DONE

    made = console.make(out, color="never", environment={})
    assert made.width == 60
    answer = _answer(fleet)
    render.show(answer, made, signs=console.SIGNS)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines[:-1])) <= 60
    assert "\x1b" not in out.getvalue()
    assert "      fra was moved less than 300 s ago; wanted because 2 of" in lines
    assert "      2 observers see fra up, 2 are needed" in lines
    # A command that is folded does not work when it is pasted.
    assert lines[-1] == "next: kubectl holdfast explain region/fra --at 2026-11-21T14:00:52.400Z"


def _answer(_fleet):
    from holdfast.cli import explain

    asked = explain.question(["fra"], at="", now=explain.dt.datetime(2026, 11, 21, 14, 2, tzinfo=explain.dt.UTC))
    return explain._answer(asked, Options(budget_s=20.0), as_of="2026-11-21T14:02:11.000Z")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "<none>"), (0.44, "0.4s"), (38.0, "38s"), (119.0, "119s"), (120.0, "2m"), (7_200.0, "2h"), (2e5, "2d")],
)
def test_durations_are_written_as_kubectl_writes_them(seconds, text):
    assert lines.held(seconds) == text


def test_a_time_that_is_none_has_no_distance():
    assert lines.since("soon", "2026-11-21T14:02:11.000Z") is None
    assert lines.since("2026-11-21T14:02:01Z", "2026-11-21T14:02:11.000Z") == 10.0
    assert lines.since("2026-11-21T14:02:21Z", "2026-11-21T14:02:11.000Z") == 0.0
