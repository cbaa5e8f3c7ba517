"""Manners that every command has: piped, and on a terminal of 60 columns."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path

import cli_picture
import pytest

from holdfast.cli.app import cli

PLUGIN = Path(sys.executable).parent / "kubectl-holdfast"
ORDER = ["fra", "--for", "30m", "--reason", "kernel update", "--dry-run"]
COMMANDS = {
    "status": ["status"],
    "explain": ["explain", "fra"],
    "calls": ["calls"],
    "latency": ["latency"],
    "doctor": ["doctor"],
    "cordon": ["cordon", *ORDER],
    "drain": ["drain", *ORDER],
    "uncordon": ["uncordon", "fra", "--dry-run"],
}
# What they print is for a shell, or one word.
OTHERS = {"version", "completion"}


@pytest.fixture
def whole(fleet):
    return cli_picture.sound(fleet, whole=True)


def environment(fleet, **more: str) -> dict[str, str]:
    return {"PATH": f"{fleet.path}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": fleet.path, **more}


def test_no_command_is_left_out():
    assert set(cli.commands) == set(COMMANDS) | OTHERS


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_piped_there_is_no_escape_code_and_each_row_is_one_line(whole, words):
    done = subprocess.run(
        [PLUGIN, *words, "--request-timeout=30s"], capture_output=True, text=True, timeout=90, check=False,
        env=environment(whole, COLUMNS="60"),
    )  # fmt: skip
    lines = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[-1].startswith("next: kubectl ")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_on_a_narrow_terminal_nothing_is_wider_and_the_next_command_is_whole(whole, words):
    done = on_terminal([PLUGIN, *words, "--request-timeout=30s", "--color=never"], environment(whole), columns=60)
    lines = done.replace("\r\n", "\n").splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("next: "))

    assert max(map(len, lines[:at])) <= 60
    assert [line for line in lines[:at] if line != line.rstrip()] == []
    assert lines[at].startswith("next: kubectl ")


def on_terminal(command: list[str | Path], environ: dict[str, str], *, columns: int) -> str:
    """What a terminal of that width is sent."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 65_536):
            told += part
    except OSError:
        pass  # The other end is closed: the process has ended.
    finally:
        os.close(ours)
        assert process.wait(timeout=60) == 0, told.decode()
    return told.decode()
