"""What people order of regions, as seconds that are left."""

import pytest

from holdfast import shifts
from holdfast.core.values import Cause, Override, Shift
from holdfast.shifts import Order, Orders

ORDERS = {
    "fra": Orders(cordon=Order(1000.0, "new disks")),
    "ams": Orders(cordon=Order(1100.0, "heat"), override=Order(1050.0, "incident 4", "Dwell")),
}


def test_an_order_is_told_with_the_seconds_that_are_left():
    assert shifts.cordons(ORDERS, wall_s=990.0) == (
        Shift("ams", Cause.HUMAN, 110.0, "heat"),
        Shift("fra", Cause.HUMAN, 10.0, "new disks"),
    )
    assert shifts.overrides(ORDERS, wall_s=990.0) == (Override("ams", "Dwell", 60.0, "incident 4"),)


@pytest.mark.parametrize(("wall_s", "left"), [(999.9, ["ams", "fra"]), (1000.0, ["ams"]), (2000.0, [])])
def test_an_order_ends_by_itself(wall_s, left):
    assert [shift.region for shift in shifts.cordons(ORDERS, wall_s=wall_s)] == left


def test_an_override_ends_by_itself():
    assert shifts.overrides(ORDERS, wall_s=1050.0) == ()
