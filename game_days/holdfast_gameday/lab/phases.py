"""Says what is being done and how long it took: one plain line per phase, no escape codes.

It decides nothing and stores only the seconds, for whoever reports them.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Phases:
    """Phases may overlap; every line is whole and carries its own name."""

    out: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=self.out, flush=True)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.say(f"» {name}")
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started
        self.say(f"  {name}: {self.seconds[name]:.1f} s")
