"""Claims about the packet rules of faults."""

import ipaddress

from holdfast_gameday.lab import names, network


def test_silence_drops_both_directions_without_an_answer() -> None:
    rules = [rule for rule in network.silence_rules() if rule.startswith("-I")]
    assert [rule.endswith("-j DROP") for rule in rules] == [True, True]
    assert "-i wan0" in rules[0]
    assert "-o wan0" in rules[1]


def test_a_cut_names_the_other_side_in_both_directions() -> None:
    rules = [rule for rule in network.cut_rules("172.30.0.12") if rule.startswith("-I")]
    assert "-s 172.30.0.12" in rules[0]
    assert "-d 172.30.0.12" in rules[1]


def test_undo_deletes_exactly_what_was_inserted() -> None:
    rules = network.cut_rules("172.30.0.12")
    assert [line.replace("-D ", "-I ", 1) for line in network.undo(rules)] == rules


def test_what_is_lost_by_chance_on_the_way_to_another_region_is_lost_once():
    """The other region's own rule takes its share of what comes in: else a path would lose twice what was asked for."""
    (coming, going) = [rule for rule in network.loss_rules(1.0) if rule.startswith("-I")]
    assert "-i wan0 -m statistic" in coming
    assert f"-o wan0 -d {names.WORLD_RANGE} -m statistic" in going


def test_the_worlds_range_holds_every_address_of_the_world_and_no_region():
    world = ipaddress.ip_network(names.WORLD_RANGE)
    assert all(ipaddress.ip_address(each) in world for each in names.WORLD_ADDRESSES)
    assert not any(ipaddress.ip_address(each.ip) in world for each in names.REGIONS.values())
