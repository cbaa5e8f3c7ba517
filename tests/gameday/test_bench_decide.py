"""What the cost of deciding is measured on. How long it takes is the bench's to say, not a test's."""

from __future__ import annotations

from holdfast.core.plans import SetOrigin, Turn
from holdfast.core.values import Cause
from holdfast_gameday import bench_decide
from holdfast_gameday.bench_decide import FAILED, TROUBLED, Cost, Size

TINY = Size(agents=60, regions=4, policies=6)


def cost(median_ms: float, *, size: Size = bench_decide.SMALL, kept: int = 0) -> Cost:
    return Cost("region failed", size, (median_ms,), cpu_ms=median_ms, peak=1_000, kept=kept)


def test_every_policy_takes_the_failed_region_out_and_nothing_else() -> None:
    """A fleet in which guards refuse early would be cheap to decide for, and prove nothing."""
    fleet = bench_decide.fleet(TINY, bench_decide.agents(TINY), trouble=True)
    plans = bench_decide.decide(fleet).plans
    assert len(plans) == 6
    for plan in plans:
        assert [(move.region, move.turn, move.cause) for move in plan.moves] == [(FAILED, Turn.OUT, Cause.LOST)]
        assert any(isinstance(step, SetOrigin) for step in plan.steps)
        assert plan.refusals == ()


def test_only_where_the_provider_is_ill_do_orders_change() -> None:
    fleet = bench_decide.fleet(TINY, bench_decide.agents(TINY), trouble=True)
    orders = bench_decide.decide(fleet).orders
    assert [region for region, unusual in orders.items() if unusual] == [TROUBLED]


def test_with_nothing_wrong_nothing_is_moved_and_nothing_written() -> None:
    fleet = bench_decide.fleet(TINY, bench_decide.agents(TINY), trouble=False)
    decided = bench_decide.decide(fleet)
    assert all(plan.moves == () and plan.steps == () for plan in decided.plans)
    assert not any(decided.orders.values())


def test_agents_differ_in_policy_weights_and_attempts() -> None:
    agents = bench_decide.agents(TINY)
    assert len({ref.namespace for ref in agents}) == 6
    assert {len(own.lines) for own in agents.values()} == {2, 3, 4}
    assert len({tuple(line.weight for line in own.lines) for own in agents.values()}) > 3
    assert any(line.regions for own in agents.values() for line in own.lines)


def test_policies_differ_in_weights_guards_witnesses_and_levers() -> None:
    zones = [view.zone for view in bench_decide.fleet(TINY, {}, trouble=True).views]
    assert len({zone.regions for zone in zones}) == 6
    assert len({zone.guards for zone in zones}) > 2
    assert {len(zone.witnesses) for zone in zones} == {0, 1}
    assert {len(zone.levers) for zone in zones} == {1, 2}


def test_each_timed_call_is_counted_and_its_memory_traced_beside_it() -> None:
    measured = bench_decide.measure("no change", TINY, trouble=False, calls=2)
    assert len(measured.wall_ms) == 2
    assert measured.peak > 0


def test_the_figures_are_met_at_50_ms_and_ten_times_that() -> None:
    assert bench_decide.breaches(cost(50.0), cost(500.0, size=bench_decide.LARGE)) == []


def test_a_figure_that_is_not_met_is_named() -> None:
    found = bench_decide.breaches(cost(50.1, kept=5_000), cost(501.1, size=bench_decide.LARGE))
    assert found == [
        "50.1 ms at 5000 agents, allowed are 50 ms",
        "10.0 times as long at 20000 agents, allowed are 10 times",
        "5000 bytes kept by calls at 5000 agents",
    ]


def test_the_table_names_agents_regions_and_zones() -> None:
    head, row = bench_decide.table([cost(40.0)]).splitlines()
    assert head.split()[:4] == ["call", "agents", "regions", "zones"]
    assert row.split()[:5] == ["region", "failed", "5000", "10", "50"]
