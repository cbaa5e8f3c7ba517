"""How every command ends: one table of statuses, and the one shape in which a command says why it could not.

    error: no region, lever, agent, carrier or zone is named frankfurt
    next: kubectl holdfast explain fra
"""

from __future__ import annotations

from enum import IntEnum

PROGRAM = "kubectl holdfast"

class ExitStatus(IntEnum):
    """The statuses of the whole plugin, not of one command."""

    DONE = 0  # done, healthy, or answered
    FAILED = 1  # failed, unhealthy, or could not be answered
    USAGE = 2
    UNCHANGED = 3  # only with --error-unchanged
    REFUSED = 4  # by a guard; nothing was done
    TIMED_OUT = 5  # while waiting
    INTERRUPTED = 130


class Failure(Exception):
    """A command that cannot do what it was asked. `next_command` works when it is pasted."""

    def __init__(self, message: str, *, next_command: str, status: ExitStatus = ExitStatus.FAILED) -> None:
        super().__init__(message)
        self.next_command = next_command
        self.status = status
