"""`doctor`: a list of claims, and which of them hold. Warnings do not change the exit status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from holdfast.cli import console, examine, examine_before, jsonable
from holdfast.cli.clusters import Kubectl
from holdfast.cli.examine import Asking, Connect
from holdfast.cli.exits import PROGRAM, ExitStatus
from holdfast.cli.lines import line, next_command, signed
from holdfast.cli.moments import stamp
from holdfast.cli.options import Options
from holdfast.cli.status import Clock
from holdfast.core.claim import Finding, Outcome, judge
from holdfast.core.claims import CLAIMS
from holdfast.core.claims_before import CLAIMS_BEFORE

SCHEMA = "holdfast.dev/doctor/v1"
PAGE = "docs/cli.md"
SIGNS = {Outcome.OK: "ok", Outcome.WARNING: "warning", Outcome.FAILED: "bad", Outcome.SKIPPED: "unknown"}
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim. `details` only where it does not hold; `see`: the page and the anchor of its code."""

    code: str
    category: str
    claim: str
    outcome: str
    details: tuple[str, ...]
    see: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` says. `success`: no claim failed."""

    as_of: str
    success: bool
    failed: int
    warnings: int
    skipped: int
    claims: tuple[Judged, ...] = ()
    next: str = ""
    schema: str = field(default=SCHEMA)


def asking_for(options: Options) -> Asking:
    return Asking(options, lambda budget_s: Kubectl(kubeconfig=options.kubeconfig, budget_s=budget_s), Clock())


def run(
    options: Options,
    *,
    pre: bool,
    network: bool,
    output: str,
    asking: Asking | None = None,
    connect: Connect | None = None,
) -> ExitStatus:
    """`asking` and `connect` are for whoever has other clusters than kubectl's."""
    asked = asking or asking_for(options)
    if pre:
        findings = judge(CLAIMS_BEFORE, examine_before.ground(asked))
    else:
        findings = judge(CLAIMS, examine.picture(asked, network=network, connect=connect)[0])
    told = diagnosis(findings, as_of=stamp(asked.wall()), pre=pre, program=options.program, short=output == "short")
    if output == "json":
        options.out.write(jsonable.text(told))
    else:
        _show(told, options, short=output == "short")
    return ExitStatus.DONE if told.success else ExitStatus.FAILED


def diagnosis(
    findings: tuple[Finding, ...], *, as_of: str, pre: bool = False, program: str = PROGRAM, short: bool = False
) -> Diagnosis:
    """Pure. What failed is shown shortly first, then in full."""
    count = {outcome: sum(each.outcome is outcome for each in findings) for outcome in Outcome}
    failed = [each for each in findings if each.outcome is Outcome.FAILED]
    what_next = "helm install holdfast charts/holdfast -n holdfast-system --create-namespace -f values.yaml"
    if not pre or failed:
        again = f"{program} doctor{' --pre' if pre else ''}{' -v' if short else ' -o short'}"
        what_next = again if failed else f"{program} status"
    return Diagnosis(
        as_of=as_of, success=not failed, failed=len(failed), warnings=count[Outcome.WARNING],
        skipped=count[Outcome.SKIPPED], next=what_next,
        claims=tuple(
            Judged(each.code, each.category, each.claim, each.outcome.value, each.details, f"{PAGE}#{each.anchor}")
            for each in findings
        ),
    )  # fmt: skip


def _show(told: Diagnosis, options: Options, *, short: bool) -> None:
    made = console.make(options.out, color=options.color, environment=options.environment)
    signs = console.signs(options.environment)
    category = ""
    for each in told.claims:
        troubled = each.outcome in (Outcome.FAILED.value, Outcome.WARNING.value)
        if short and not troubled:
            continue
        if not short and each.category != category:
            category = each.category
            line(made, Text(category, style="bold"))
        _claim(each, made, signs, short=short, verbose=options.verbose)
    sign = "ok" if told.success else "bad"
    words = f"{told.failed} failed, {told.warnings} warnings, {told.skipped} skipped of {len(told.claims)} claims"
    line(made, signed(sign, words, signs))
    next_command(told.next, made)


def _claim(each: Judged, made: Console, signs: Mapping[str, str], *, short: bool, verbose: bool) -> None:
    outcome = Outcome(each.outcome)
    indent = 0 if short else 2
    words = signed(SIGNS[outcome], each.claim, signs)
    if outcome is Outcome.OK:
        line(made, words, indent=indent)
        return
    line(made, Text.assemble(words, f"  {each.outcome}  ", (each.code, "bold"), f"  {each.see}"), indent=indent)
    kept = None if verbose else SHOWN if outcome is not Outcome.SKIPPED else 1
    for detail in each.details[:kept]:
        line(made, detail, indent=indent + 4)
    if kept is not None and len(each.details) > kept:
        line(made, Text(f"… {len(each.details) - kept} more, by -v", style="dim"), indent=indent + 4)
