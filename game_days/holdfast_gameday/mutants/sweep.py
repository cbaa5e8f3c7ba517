"""`python -m holdfast_gameday.mutants.sweep MODULE FIRST COUNT`: seeds in a row, up to the first broken invariant.

Run by `trial` in a process of its own, so that the operator's package which it imports is the copy with the defect.
Prints one line of JSON. A seed that ends in an exception proves nothing and is only counted.
"""

from __future__ import annotations

import json
import sys
from typing import Any

CRASHES_MAX = 3


def sweep(module: str, seeds: range) -> dict[str, Any]:
    """What was found: `breach` with its seed, or how many seeds ran and crashed. `module`: the one with the defect."""
    from holdfast_gameday.simulation import run  # noqa: PLC0415 - a defect may well break an import, which is a crash

    if module and f"holdfast.core.{module}" not in sys.modules:
        return {"seeds": 0, "crashes": 0, "why": f"the simulator does not drive {module}"}
    crashes, why = 0, ""
    for number in seeds:
        try:
            violations = run.seed(number).violations
        except Exception as crash:
            crashes, why = crashes + 1, f"seed {number}: {type(crash).__name__}: {crash}"
            if crashes == CRASHES_MAX:
                return {"seeds": number - seeds.start + 1, "crashes": crashes, "why": why}
            continue
        if violations:
            first = violations[0]
            return {"breach": f"{first.invariant.code} {first.invariant.name}", "seed": number, "what": str(first)}
    return {"seeds": len(seeds), "crashes": crashes, "why": why}


def main(arguments: list[str]) -> int:
    module, first, count = arguments
    try:
        found = sweep(module, range(int(first), int(first) + int(count)))
    except Exception as crash:
        found = {"seeds": 0, "crashes": 1, "why": f"{type(crash).__name__}: {crash}"}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
