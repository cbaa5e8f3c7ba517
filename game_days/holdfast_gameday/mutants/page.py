"""The page about a run: what was put in, whom it would harm, and who noticed."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast_gameday.mutants.defect import Defect
from holdfast_gameday.mutants.trial import Verdict

PAGE = """# Deliberate defects

What are the simulator and the tests worth? `make mutants` puts {count} defects into a copy of the decision core, one at
a time, and looks who notices: first the simulator on {seeds} seeds, then the core's own tests. To notice is to break a
named invariant or to fail an assertion; a crash does not count. The core as it is passes the same run.

Of the {count} the simulator alone noticed {simulator}, the tests {tests}, nobody {nobody}. Written by
`make mutants ARGS="--write docs/mutants.md"`.

| defect | what would become of a fleet that ran so | noticed by |
|---|---|---|
{rows}
"""


def render(defects: Sequence[Defect], verdicts: Sequence[Verdict], *, seeds: int) -> str:
    by_simulator = sum(bool(verdict.invariant) for verdict in verdicts)
    by_nobody = sum(not verdict.caught for verdict in verdicts)
    rows = [f"| {each.name} | {each.harm} | {by(verdict)} |" for each, verdict in zip(defects, verdicts, strict=True)]
    return PAGE.format(
        count=len(defects), seeds=seeds, simulator=by_simulator, nobody=by_nobody,
        tests=len(verdicts) - by_simulator - by_nobody, rows="\n".join(rows),
    )


def by(verdict: Verdict) -> str:
    """Who noticed, in words."""
    if verdict.invariant:
        return f"simulator: {verdict.invariant}, seed {verdict.seed}"
    return f"test: {verdict.test}" if verdict.test else "nobody"
