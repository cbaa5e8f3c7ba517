"""What `make mutation` reads out of mutmut, and the copy that it is let loose on."""

import tomllib

import pytest

from holdfast_gameday import mutation

RESULTS = """    holdfast.core.lease.x_step__mutmut_1: killed
    holdfast.core.lease.x_step__mutmut_2: timeout
    holdfast.core.lease.xǁElectionǁfence__mutmut_1: survived
    holdfast.core.guards.x_dwell__mutmut_1: no tests
    holdfast.core.guards.x_dwell__mutmut_2: suspicious
    holdfast.core.guards.x_dwell__mutmut_3: killed
"""


def test_each_change_is_read_with_what_became_of_it():
    assert mutation.read(f"some words\n{RESULTS}")["holdfast.core.lease.xǁElectionǁfence__mutmut_1"] == "survived"
    assert len(mutation.read(RESULTS)) == 6


def test_only_what_a_test_noticed_counts():
    assert mutation.table(mutation.read(RESULTS)).splitlines() == [
        "module            changes  noticed  survived  untested  other  score",
        "guards                  3        1         0         1      1  33.3 %",
        "lease                   3        2         1         0      0  66.7 %",
        "all                     6        3         1         1      1  50.0 %",
    ]


def test_the_copy_has_the_package_under_src_and_both_settings(tmp_path):
    mutation.copy(tmp_path, ["lease"], ["tests/holdfast/core/test_lease.py"])

    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]
    assert (tmp_path / "src" / "holdfast" / "core" / "lease.py").exists()
    assert (tmp_path / "tests" / "holdfast" / "core" / "test_lease.py").exists()
    assert settings["mutmut"]["only_mutate"] == ["src/holdfast/core/lease.py"]
    assert settings["mutmut"]["pytest_add_cli_args_test_selection"] == ["tests/holdfast/core/test_lease.py"]
    assert "error" in settings["pytest"]["ini_options"]["filterwarnings"]


def test_an_unknown_module_is_a_wrong_call(capsys):
    with pytest.raises(SystemExit) as stopped:
        mutation.main(["nonsense"])

    assert stopped.value.code == 2
    assert "the core has no module nonsense" in capsys.readouterr().err
