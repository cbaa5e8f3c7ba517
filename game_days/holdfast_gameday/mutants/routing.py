"""Defects of where calls may go, and of how levers are brought there."""

from __future__ import annotations

from holdfast_gameday.mutants.defect import Defect

DEFECTS = (
    Defect(
        name="residency-after-health",
        harm="a region relabelled into another jurisdiction goes on serving, because it is well",
        module="plans",
        text="if self.legal(name) and self.remembered(name).intent is Intent.SERVING",
        becomes="if self.remembered(name).intent is Intent.SERVING",
    ),
    Defect(
        name="illegal-region-kept",
        harm="calls go on leaving the jurisdiction after everybody knows it",
        module="writes",
        text="for names, enabled in ((illegal, False), (serving, True), (out, False)):",
        becomes="for names, enabled in ((serving, True), (out, False)):",
    ),
    Defect(
        name="fallback-among-all-regions",
        harm="the carrier's own fallback leads out of the jurisdiction when nothing inside serves",
        module="fallback",
        text="if name in regions and regions[name].jurisdiction == zone.residency]",
        becomes="if name in regions]",
    ),
    Defect(
        name="off-before-on",
        harm="a plan that stops halfway has taken a region out before what replaces it is in",
        module="writes",
        text="((illegal, False), (serving, True), (out, False))",
        becomes="((illegal, False), (out, False), (serving, True))",
    ),
    Defect(
        name="read-back-skipped",
        harm="a write that the vendor lost counts as done, and nobody looks again",
        module="writes",
        text="wanted += [write, ReadBack(lever, region, enabled)]",
        becomes="wanted += [write]",
    ),
    Defect(
        name="write-believed-before-it-is-read",
        harm="a region is taken out in reliance on another whose return was never seen at the vendor",
        module="writes",
        text="view = view.with_origin(lever, region, enabled=None)",
        becomes="view = view.with_origin(lever, region, enabled=enabled)",
    ),
    Defect(
        name="key-without-epoch",
        harm="a new leader's write looks like a repetition of the old one's, and is dropped as done",
        module="writes",
        text='key = f"{fence.zone}/{fence.epoch}/{lever}/{region}/{word}"',
        becomes='key = f"{fence.zone}/{lever}/{region}/{word}"',
    ),
    Defect(
        name="standby-takes-calls-in-fair-weather",
        harm="a region paid for as a reserve is filled while the others serve, and is none when it is needed",
        module="weights",
        text="chosen = weighted or dict.fromkeys(_apart(standby, view), 1)",
        becomes="chosen = {**weighted, **dict.fromkeys(_apart(standby, view), 1)}",
    ),
    Defect(
        name="room-ignored-by-weights",
        harm="a full region is sent its whole share of the calls, and falls over",
        module="weights",
        text="over = {name: room[name] for name, count in ahead.items() if count > room[name]}",
        becomes="over = dict[str, int]()",
    ),
    Defect(
        name="shed-not-told",
        harm="calls that no region can take meet silence instead of words",
        module="weights",
        text="shed = Shed(left, Reason(reasons.CALLS_SHED, words))",
        becomes="shed = None",
    ),
    Defect(
        name="ill-providers-left-out",
        harm="with every attempt ill none is tried, and the caller hears nothing",
        module="providers",
        text="return (*well, *[line.name for line in lines if _is_sick(line, sick)])",
        becomes="return tuple(well)",
    ),
    Defect(
        name="last-carrier-set-back",
        harm="with every carrier ill, or ourselves cut off, their order is turned round for nothing",
        module="carriers",
        text="    every_carrier_ill,\n",
        becomes="",
    ),
    Defect(
        name="herd-not-paced",
        harm="the calls of a lost region are brought to another all at once, and it is lost too",
        module="admission",
        text="tokens = min(carried + rate * elapsed_s, max(rate * BURST_S, 1.0))",
        becomes="tokens = float(waiting)",
    ),
)
