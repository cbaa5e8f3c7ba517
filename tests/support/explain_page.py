"""Writes the examples of docs/explain.md: every story, asked and answered. `make explain-page` runs it."""

from __future__ import annotations

import io
from pathlib import Path

import explain_stories
from explain_stories import Story
from rich.console import Console

from holdfast.cli import render, verdicts
from holdfast.cli.clusters import Cluster
from holdfast.cli.console import SIGNS
from holdfast.core import audit
from holdfast.core.explain import Kind

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"
BEGIN, END = "<!-- examples -->\n", "<!-- end of examples -->\n"
AT = "2026-11-21T14:05:00.000Z"
WIDTH = 100
HEADINGS = (
    ("Decisions about regions", explain_stories.MOVES),
    ("Refusals, by the guard", explain_stories.REFUSALS),
    ("Overrides, carriers, fallbacks and calls without room", explain_stories.OTHERS),
    ("What a region decides alone", explain_stories.HERE),
)
POLICY = {
    "metadata": {"name": "eu"},
    "spec": {
        "regions": [{"name": name} for name in ("fra", "ams", "cdg")],
        "levers": [{"name": "edge"}],
        "carriers": [{"name": "twilio-eu"}, {"name": "telnyx-eu"}],
    },
}
AGENT = {"metadata": {"name": "front-desk", "namespace": "clinic"}, "spec": {"failoverPolicy": "eu"}}


def answer(story: Story, *, width: int = WIDTH) -> str:
    """What the plugin prints when it is asked about this story on a terminal without colours."""
    here = story.entry.subject.kind in (Kind.AGENT, Kind.REGION) and not story.entry.epoch
    by = "fra" if here else "ams"
    trail = audit.added(audit.Trail(), [story.entry], at=AT, by=by)
    cluster = Cluster(by, by, policies=(POLICY,), agents=(AGENT,), trail=trail)
    found = verdicts.given(story.entry.subject, (cluster,), as_of=AT, at=AT)
    printed = io.StringIO()
    console = Console(
        file=printed, width=width, force_terminal=True, color_system=None, highlight=False, emoji=False, markup=False
    )
    render.show(found, console, signs=SIGNS)
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())


def examples() -> str:
    """The part of the page between its marks."""
    parts = []
    stories = iter(explain_stories.stories())
    for heading, told in HEADINGS:
        parts.append(f"\n### {heading}\n")
        for story in (next(stories) for _ in told):
            asked = f"kubectl holdfast explain {story.entry.subject.name} --at 2026-11-21T14:05:00Z"
            parts.append(f"\n**{story.code}.** {story.happens}\n\n```\n$ {asked}\n{answer(story)}\n```\n")
    return "".join(parts)


def written(page: str) -> str:
    """The page with its examples as they are now."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{examples()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
