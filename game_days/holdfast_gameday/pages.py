"""Writes what the pages of `docs/` take from the code: `python -m holdfast_gameday.pages`; `--check` finds the stale.

A page is written by hand. What stands between two marks in it is made anew, and nothing else is touched:

    <!-- from the code: guards -->
    …
    <!-- end -->
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from holdfast_gameday import decisions_page
from holdfast_gameday.simulation import cuts, partitions_page

ROOT = Path(__file__).resolve().parents[2]
MARKED = re.compile(r"(<!-- from the code: (?P<name>[^ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Parts = Mapping[str, Callable[[], str]]
PAGES: Mapping[str, Parts] = {
    "docs/decisions.md": decisions_page.PARTS,
    "docs/partitions.md": {shape: partial(partitions_page.table, shape) for shape in cuts.SHAPES},
}


def written(text: str, parts: Parts) -> str:
    """The page with each of its marked parts as the code has it now."""
    named = [found["name"] for found in MARKED.finditer(text)]
    if sorted(named) != sorted(parts):
        raise ValueError(f"marked are {', '.join(named) or 'no parts'}, made are {', '.join(parts)}")
    return MARKED.sub(lambda found: f"{found[1]}\n{parts[found['name']]()}\n\n{found[3]}", text)


def main(arguments: list[str] | None = None, *, pages: Mapping[str, Parts] = PAGES) -> int:
    """Write, or with --check compare."""
    parser = argparse.ArgumentParser(description="Write what the pages take from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args(arguments)
    stale = 0
    for name, parts in pages.items():
        page = options.root / name
        before = page.read_text(encoding="utf-8")
        after = written(before, parts)
        if after == before:
            continue
        stale += 1
        if options.check:
            print(f"stale: {name} (run `make docs`)", file=sys.stderr)
        else:
            page.write_text(after, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
