"""The stable codes of every reason the core can give, in one place because users alert on them.

A code is never renamed; its sentence is written where the decision is made.
"""

from __future__ import annotations

# Why a region was moved.
REGION_LOST = "RegionLost"
REGION_RECOVERED = "RegionRecovered"

# Why an action was refused, in the order in which the guards are asked.
NO_QUORUM = "NoQuorum"
STALE_EVIDENCE = "StaleEvidence"
OBSERVER_DOUBTS = "ObserverDoubtsItself"
NOT_CONFIRMED = "NotConfirmed"
TARGET_LOST = "TargetLost"
EVERYTHING_ILL = "EverythingLooksIll"
LAST_SERVING = "LastServing"
MIN_SERVING = "MinServing"
NEVER_EMPTY = "NeverEmpty"
MAX_CORDONED = "MaxCordoned"
UNKNOWN_HISTORY = "UnknownHistory"
DWELL = "Dwell"

# What may be said of a zone, a region or an agent in its conditions.
READY = "Ready"
NO_REGION_SERVES = "NoRegionServes"
NOTHING_HELD = "NothingHeld"
REGION_CORDONED = "RegionCordoned"
LEADER_ELECTED = "LeaderElected"
NO_MAJORITY = "NoMajority"
NO_WITNESS = "NoWitness"
ENOUGH_PODS = "EnoughPods"
NOT_ENOUGH_PODS = "NotEnoughPods"
ONE_REGION = "OneRegion"
READ_BACK = "ReadBack"
ROUTE_DIFFERS = "RouteDiffers"
ROUTE_UNKNOWN = "RouteUnknown"
NO_ORIGIN = "NoOrigin"
LEVER_ANSWERS = "LeverAnswers"
LEVER_UNREACHABLE = "LeverUnreachable"
SEPARATE_REGION = "SeparateRegion"
NO_OTHER_REGION = "NoOtherRegion"
SHARED_DOMAIN = "SharedFailureDomain"

# What may be said of a copy.
ORPHANED = "Orphaned"
SPEC_CONFLICT = "SpecConflict"
LOWER_GENERATION = "LowerGeneration"
