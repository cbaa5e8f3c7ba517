"""A machine on which the lab cannot run says so at once and names both ways to mend it."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "game_days" / "preflight.sh"


def _preflight(path, **who):
    return subprocess.run(
        ["bash"], input=SCRIPT.read_text(), env={"PATH": path}, capture_output=True, text=True,
        timeout=10, check=False, **who,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_root_and_without_an_engine_both_ways_are_named():
    done = _preflight("/usr/bin:/bin", user=65534)

    assert done.returncode == 1
    assert "start a container engine" in done.stderr
    assert "use Linux as root" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="the claim is about root")
def test_linux_as_root_is_enough():
    assert _preflight("/usr/bin:/bin").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_engine_that_hangs_is_not_waited_for(tmp_path):
    for name in ("docker", "kind"):
        (tmp_path / name).write_text("#!/bin/sh\nsleep 30\n")
        (tmp_path / name).chmod(0o755)
    tmp_path.chmod(0o755)

    assert _preflight(f"{tmp_path}:/usr/bin:/bin", user=65534).returncode == 1
