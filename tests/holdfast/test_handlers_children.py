"""When an object counts as being as we want it."""

import pytest

from holdfast.handlers.children import APPLIED, digest, marked, matches

WANTED = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}], "on": True}}


@pytest.mark.parametrize(
    ("live", "same"),
    [
        (WANTED, True),
        ({**WANTED, "status": {"ready": 1}}, True),
        ({"metadata": {"name": "a", "uid": "u"}, "spec": {"ports": [{"port": 1, "name": "x"}], "on": True}}, True),
        ({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 2}], "on": True}}, False),
        ({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}, {"port": 2}], "on": True}}, False),
        ({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}, False),
        ({"metadata": {"name": "a"}, "spec": None}, False),
    ],
)
def test_only_what_we_own_is_compared(live, same):
    assert matches(WANTED, live) is same


def test_a_field_that_we_stopped_owning_changes_the_digest():
    """A comparison of what is wanted cannot see what is no longer wanted."""
    less = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}

    assert marked(less)["metadata"]["annotations"][APPLIED] != digest(WANTED)
    assert not matches(marked(less), marked(WANTED))
