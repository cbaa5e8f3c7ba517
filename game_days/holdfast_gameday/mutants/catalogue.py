"""All defects in the order of the table."""

from __future__ import annotations

from holdfast_gameday.mutants import holding, leading, routing, seeing
from holdfast_gameday.mutants.defect import Defect

DEFECTS: tuple[Defect, ...] = (*leading.DEFECTS, *seeing.DEFECTS, *holding.DEFECTS, *routing.DEFECTS)
