"""One deliberate defect, and the copy of the operator that has it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from holdfast_gameday.lab.paths import ROOT

OPERATOR = ROOT / "operator" / "holdfast"


class NotApplicable(Exception):
    """The text of a defect no longer stands where it was, or stands there twice: the defect has to be written anew."""


@dataclass(frozen=True, slots=True)
class Defect:
    """In `module` of the core `becomes` takes the place of `text`. `harm`: what would become of a fleet that ran so."""

    name: str
    harm: str
    module: str
    text: str
    becomes: str

    def applied_to(self, source: str) -> str:
        found = source.count(self.text)
        if found != 1:
            raise NotApplicable(f"{self.name}: its text stands {found} times in core/{self.module}.py, not once")
        return source.replace(self.text, self.becomes)


def missed(defect: Defect) -> str:
    """Why a defect cannot be put into the tree's core as it is now; empty when it can."""
    try:
        defect.applied_to((OPERATOR / "core" / f"{defect.module}.py").read_text())
    except NotApplicable as gone:
        return str(gone)
    return ""


def copy(folder: Path, defect: Defect | None) -> Path:
    """Copy the operator's package into a folder, with one defect or with none; the folder is for PYTHONPATH."""
    shutil.copytree(OPERATOR, folder / OPERATOR.name, ignore=shutil.ignore_patterns("__pycache__"))
    if defect:
        module = folder / OPERATOR.name / "core" / f"{defect.module}.py"
        module.write_text(defect.applied_to(module.read_text()))
    return folder
