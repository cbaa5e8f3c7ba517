"""Scenario files: the one that ships loads; a wrong one is refused with the field's name."""

from pathlib import Path

import pytest
import yaml

from holdfast_gameday import scenario

SHIPPED = Path(__file__).parents[2] / "game_days" / "scenarios"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_loads_under_its_own_name(path):
    name, _ = scenario.load(path)

    assert name == path.stem


def _write(tmp_path, change):
    document = yaml.safe_load((SHIPPED / "region-loss.yaml").read_text())
    change(document["spec"])
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda spec: spec["fault"].update(kind="meteor"), "spec.fault.kind"),
        (lambda spec: spec["calls"].update(count=0), "spec.calls.count"),
        (lambda spec: spec.update(colour="red"), "spec.colour"),
        (lambda spec: spec["calls"].update(count=3), "calls.atLeast.count is larger"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, change, field):
    with pytest.raises(scenario.ScenarioInvalid, match=field):
        scenario.load(_write(tmp_path, change))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(scenario.ScenarioInvalid, match=r"none\.yaml: cannot be read"):
        scenario.load(tmp_path / "none.yaml")


def test_another_number_of_calls_keeps_the_share_on_the_region():
    _, loaded = scenario.load(SHIPPED / "region-loss.yaml")

    assert loaded.with_calls(24).calls.at_least.count == 12
