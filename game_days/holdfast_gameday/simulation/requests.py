"""One operator's requests to the vendors: every one is answered within its deadline, whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast_gameday.simulation.book import Book
from holdfast_gameday.simulation.engine import Resume, Wait
from holdfast_gameday.simulation.vendors import Answer, Change, Vendor

if TYPE_CHECKING:
    from holdfast_gameday.simulation.world import World

WRITE_DEADLINE_S = 2.0  # the shell's; a test compares them
LOST = Answer(code="Timeout")


class Requests:
    """Each is counted in the operator's book before it leaves; what happened to a lost one is not known."""

    def __init__(self, operator: str, book: Book, world: World) -> None:
        self._operator = operator
        self._book = book
        self._world = world

    def write(self, lever: str, change: Change) -> Wait:
        return self._ask(lever, lambda vendor: vendor.write(change))

    def read(self, lever: str, region: str) -> Wait:
        return self._ask(lever, lambda vendor: vendor.read(region))

    def _ask(self, lever: str, perform: Callable[[Vendor], Answer | None]) -> Wait:
        network, engine = self._world.network, self._world.engine
        here, there = ("op", self._operator), ("vendor", lever)
        self._book.asked(lever)

        def start(resume: Resume) -> None:
            def give_up() -> None:
                engine.after(WRITE_DEADLINE_S, lambda: resume(LOST))

            def arrive() -> None:
                answer = perform(self._world.vendors[lever])
                if answer is None or not network.passes(there, here):
                    give_up()
                    return
                engine.after(self._delay_s(), lambda: resume(answer))

            if network.passes(here, there):
                engine.after(self._delay_s(), arrive)
            else:
                give_up()

        return start

    def _delay_s(self) -> float:
        return 0.0 if self._world.calm() else self._world.network.delay_s()
