"""The stable codes of every reason the core can give, in one place because users alert on them.

A code is never renamed; its sentence is written where the decision is made.
"""

from __future__ import annotations

# Why a region was moved.
REGION_LOST = "RegionLost"
REGION_ABSENT = "RegionAbsent"
REGION_DEGRADED = "RegionDegraded"
REGION_WITHDRAWN = "RegionWithdrawn"
REGION_RECOVERED = "RegionRecovered"
REGION_JOINED = "RegionJoined"
REGION_RAISED = "RegionRaised"
OUTSIDE_RESIDENCY = "OutsideResidency"
FOUND_OFF = "FoundOff"
HUMAN_SHIFT = "HumanShift"
GAME_DAY_SHIFT = "GameDayShift"
SHIFT_ENDED = "ShiftEnded"

# What was done besides.
CALLS_SHED = "CallsShed"

# Why an action was refused, in the order in which the guards are asked.
NO_QUORUM = "NoQuorum"
PAUSED = "Paused"
INCIDENT = "Incident"
SEEN_ELSEWHERE = "SeenElsewhere"
ONLY_SOME_AGENTS = "OnlySomeAgents"
STALE_EVIDENCE = "StaleEvidence"
OBSERVER_DOUBTS = "ObserverDoubtsItself"
NOT_CONFIRMED = "NotConfirmed"
TARGET_LOST = "TargetLost"
EVERYTHING_ILL = "EverythingLooksIll"
LAST_SERVING = "LastServing"
MIN_SERVING = "MinServing"
NEVER_EMPTY = "NeverEmpty"
MAX_CORDONED = "MaxCordoned"
CAPACITY = "Capacity"
REWOUND_HISTORY = "RewoundHistory"
UNKNOWN_HISTORY = "UnknownHistory"
DWELL = "Dwell"
RAMP = "Ramp"
DRIFT = "Drift"
DRY_RUN = "DryRun"
BUDGET = "Budget"

# The guards that a person may override by name, for a time. The others protect what no hurry is worth.
OVERRIDABLE = frozenset({BUDGET, CAPACITY, DWELL, MAX_CORDONED, MIN_SERVING, RAMP, REWOUND_HISTORY, UNKNOWN_HISTORY})

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
AS_KEPT = "AsKept"
SEPARATE_REGION = "SeparateRegion"
NO_OTHER_REGION = "NoOtherRegion"
SHARED_DOMAIN = "SharedFailureDomain"

# Which way calls reach a zone.
BY_EDGE = "ByEdge"
EDGE_BYPASSED = "EdgeBypassed"
NO_EDGE = "NoEdge"

# What may be said of a copy.
ORPHANED = "Orphaned"
SPEC_CONFLICT = "SpecConflict"
LOWER_GENERATION = "LowerGeneration"
COPY_DIFFERS = "CopyDiffers"
COPY_REFUSED = "CopyRefused"

# What may be said of an agent's attempts in a region.
NO_ATTEMPT = "NoAttempt"
ATTEMPT_ILL = "AttemptIll"
ALL_ATTEMPTS_ILL = "AllAttemptsIll"
ATTEMPT_NOT_HERE = "AttemptNotHere"
ATTEMPT_NOT_COMPLIANT = "AttemptNotCompliant"
HOST_NOT_GRANTED = "HostNotGranted"
ATTEMPTS_AS_WISHED = "AttemptsAsWished"

# What may be said of an agent's tools in a region.
TOOLS_ANSWER = "ToolsAnswer"
TOOL_ILL = "ToolIll"
TOOL_REFUSES = "ToolRefuses"
TOOL_UNHEARD = "ToolUnheard"
VENDORS_TOLD = "VendorsTold"
BY_CONTRACT_ONLY = "ByContractOnly"
LEFT_ON = "LeftOn"

# What may be said of the time that an agent's stages take in a region.
IN_TIME = "InTime"
BROWN_OUT = "BrownOut"
LATENCY_UNHEARD = "LatencyUnheard"

# What may be said of a region's ICE servers.
RELAYS_WELL = "RelaysWell"
RELAY_ILL = "RelayIll"
ALL_RELAYS_ILL = "AllRelaysIll"
NO_RELAY = "NoRelay"

# Why a carrier was moved, or not.
CARRIER_ILL = "CarrierIll"
CARRIER_RECOVERED = "CarrierRecovered"
EVERY_CARRIER_ILL = "EveryCarrierIll"

# Why a region asks to be withdrawn, or does not although something is ill.
PODS_NOT_READY = "PodsNotReady"
NO_WORKING_ATTEMPT = "NoWorkingAttempt"

# Why an agent has as many pods as it has in a region, and why none of them may go.
FOLLOWS_CALLS = "FollowsCalls"
AT_MAXIMUM = "AtMaximum"
SCALED_BY_ANOTHER = "ScaledByAnother"
NOT_LOOKED = "NotLooked"
PODS_UNHEARD = "PodsUnheard"
ROLLING_OUT = "RollingOut"
BUSY_POD_WOULD_GO = "BusyPodWouldGo"

# What the loss of one thing would do now.
READY_FOR_LOSS = "ReadyForLoss"
LOAD_UNKNOWN = "LoadUnknown"
OTHER_ATTEMPT = "OtherAttempt"
NO_OTHER_ATTEMPT = "NoOtherAttempt"
OTHER_RELAY = "OtherRelay"
NO_OTHER_RELAY = "NoOtherRelay"
OTHER_CARRIER = "OtherCarrier"
NO_OTHER_CARRIER = "NoOtherCarrier"
