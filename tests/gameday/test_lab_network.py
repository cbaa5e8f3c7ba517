"""Claims about the packet rules of faults."""

from holdfast_gameday.lab import network


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
