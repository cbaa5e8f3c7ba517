"""`make demo` as a user runs it: its exit status, its files, its manners on a pipe and when interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "holdfast_gameday", "run", "game_days/scenarios/region-loss.yaml"]


def _demo(tmp_path, *words, **environment):
    files = ["--json", str(tmp_path / "result.json"), "--html", str(tmp_path / "page.html")]
    return subprocess.run(
        [*COMMAND, *files, *words], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_every_call_survives_the_loss_of_a_region(tmp_path):
    done = _demo(tmp_path, COLUMNS="60")

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["outcome"] == "PASSED"
    assert sum(call["moved"] for call in result["calls"]) >= 6
    assert "\x1b" not in done.stdout
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_every_call_survives_with_every_operator_off(tmp_path):
    done = _demo(tmp_path, "--operators-off")

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    held = {claim["name"] for claim in result["claims"] if claim["held"]}
    assert held >= {"no operator ran", "new calls are carried while ams is dead"}


def test_an_interrupted_demo_leaves_no_lab_behind():
    with subprocess.Popen(
        COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "helm install" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()

        assert running.wait(timeout=120) == 130, rest[-2000:]
    assert list(Path("/run").glob("netns/hf-*")) == []
