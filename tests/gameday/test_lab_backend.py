"""Claims about the choice of the lab's backend."""

from dataclasses import replace

import pytest

from holdfast_gameday.lab.backend import MEND, Facts, choose
from holdfast_gameday.lab.commands import LabError

READY = Facts(wish="auto", linux=True, root=True, engine="28.2", kind_binary="/usr/bin/kind", node_image=True)


def test_auto_takes_kind_where_engine_binary_and_image_are_here() -> None:
    choice = choose(READY)
    assert choice.backend == "kind"
    assert "28.2" in choice.reason


@pytest.mark.parametrize(("lacking", "reason"), [
    ({"engine": ""}, "no container engine's server answers"),
    ({"kind_binary": ""}, "no kind binary is on PATH"),
    ({"node_image": False}, "the node image"),
])
def test_auto_falls_back_to_local_and_says_why(lacking: dict[str, object], reason: str) -> None:
    choice = choose(replace(READY, **lacking))
    assert choice.backend == "local"
    assert reason in choice.reason


def test_wish_is_obeyed() -> None:
    assert choose(replace(READY, wish="local")).backend == "local"
    assert choose(replace(READY, wish="kind", root=False)).backend == "kind"


@pytest.mark.parametrize("facts", [
    replace(READY, engine="", root=False),
    replace(READY, engine="", linux=False),
    replace(READY, wish="kind", engine=""),
    replace(READY, wish="local", root=False),
])
def test_where_neither_can_run_both_ways_to_mend_it_are_named(facts: Facts) -> None:
    with pytest.raises(LabError) as caught:
        choose(facts)
    assert MEND in str(caught.value)


def test_unknown_wish_is_refused() -> None:
    with pytest.raises(LabError, match="auto, kind or local"):
        choose(replace(READY, wish="docker"))
