"""The carrier's own way out leads past the edge and into another region."""

from __future__ import annotations

from core_builders import region, zone

from holdfast.core import fallback, reasons
from holdfast.core.fallback import Fallback
from holdfast.core.values import Reason, Region, Zone

THREE = zone(("fra", "ams", "iad"), ())
REGIONS = {name: region(name) for name in ("fra", "ams", "iad")}


def chosen(serving: tuple[str, ...], regions: dict[str, Region] = REGIONS, of: Zone = THREE) -> tuple[str, bool, str]:
    found = fallback.choose(of, regions=regions, serving=serving)
    assert found is not None
    return found.region, found.apart, found.reason.code


def test_it_is_not_the_region_the_edge_tries_first():
    assert chosen(("fra", "ams", "iad")) == ("ams", True, reasons.SEPARATE_REGION)


def test_when_the_first_is_cordoned_the_edge_tries_the_second_and_the_fallback_is_the_third():
    assert chosen(("ams", "iad")) == ("iad", True, reasons.SEPARATE_REGION)


def test_another_failure_domain_is_preferred():
    near = {**REGIONS, "ams": region("ams", failure_domain="hetzner")}
    assert chosen(("fra", "ams", "iad"), near) == ("iad", True, reasons.SEPARATE_REGION)


def test_the_same_failure_domain_is_better_than_none_and_is_told():
    near = {name: region(name, failure_domain="hetzner") for name in REGIONS}
    assert chosen(("fra", "ams"), near) == ("ams", False, reasons.SHARED_DOMAIN)


def test_regions_that_name_no_failure_domain_share_none():
    bare = {name: region(name, failure_domain="") for name in REGIONS}
    assert chosen(("fra", "ams"), bare) == ("ams", True, reasons.SEPARATE_REGION)


def test_regions_outside_the_residency_or_unknown_are_never_named():
    abroad = {**REGIONS, "fra": region("fra", jurisdiction="us")}
    assert chosen(("fra", "ams", "iad"), abroad) == ("iad", True, reasons.SEPARATE_REGION)
    assert chosen((), abroad) == ("iad", True, reasons.SEPARATE_REGION)
    assert chosen(("fra", "ams"), {"ams": REGIONS["ams"]}) == ("ams", False, reasons.NO_OTHER_REGION)


def test_a_zone_without_a_legal_region_has_no_fallback():
    """It fails closed: no path leads round an empty zone."""
    abroad = {name: region(name, jurisdiction="us") for name in REGIONS}
    assert fallback.choose(THREE, regions=abroad, serving=("fra", "ams")) is None
    assert fallback.choose(THREE, regions={}, serving=("fra",)) is None


def test_every_choice_says_why():
    near = {name: region(name, failure_domain="hetzner") for name in REGIONS}
    assert fallback.choose(THREE, regions=REGIONS, serving=("fra", "ams")) == Fallback("ams", True, Reason(
        reasons.SEPARATE_REGION, "the fallback URL leads to ams, the edge tries fra first"
    ))
    assert fallback.choose(THREE, regions=near, serving=("fra", "ams")) == Fallback("ams", False, Reason(
        reasons.SHARED_DOMAIN, "every region that serves lies in the failure domain of fra"
    ))
    assert fallback.choose(THREE, regions=REGIONS, serving=("iad",)) == Fallback("iad", False, Reason(
        reasons.NO_OTHER_REGION, "only iad serves, so the fallback URL leads to the same region as the edge"
    ))


def test_a_lone_serving_region_is_its_own_fallback_and_is_told():
    assert chosen(("ams",)) == ("ams", False, reasons.NO_OTHER_REGION)


def test_when_nobody_serves_the_policys_order_holds():
    assert chosen(()) == ("ams", True, reasons.SEPARATE_REGION)


def test_a_policy_of_one_region_is_told_so_and_not_blamed_for_a_region_that_is_out():
    assert chosen(("fra",), of=zone(("fra",), ())) == ("fra", False, reasons.ONE_REGION)
    assert chosen(("fra",), of=zone(("fra", "ams"), ())) == ("fra", False, reasons.NO_OTHER_REGION)
