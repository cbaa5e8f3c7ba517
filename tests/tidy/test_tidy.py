"""House rules that no linter has: sizes, names, and what must never appear in the tree."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("operator/holdfast", "bridge_image/holdfast_bridge", "game_days/holdfast_gameday")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
REFUSED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_it_is_for_and_stays_readable(path):
    tree = ast.parse(path.read_text())

    assert ast.get_docstring(tree), "the module has no docstring"
    assert len(path.read_text().splitlines()) <= 400, "the file is over 400 lines"
    assert path.stem not in REFUSED_NAMES, "the name says nothing about the content"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_functions_fit_on_a_screen(path):
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    ]

    assert long == []


def test_no_source_root_is_a_package():
    """An `operator/__init__.py` would shadow the standard library's operator and break `import dataclasses`."""
    roots = ("operator", "bridge_image", "game_days", "tests")
    assert [name for name in roots if (ROOT / name / "__init__.py").exists()] == []
    assert sorted(path.name for path in (ROOT / "tests").rglob("__init__.py")) == []


def test_the_top_level_holds_what_the_layout_names_and_nothing_else():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    top = {line.split("/", 1)[0] for line in listed}

    assert {name for name in top if not name.startswith(".")} <= {
        "pyproject.toml", "operator", "crds", "charts", "bridge_image", "tests", "game_days", "README.md",
        "Makefile", "docs", "CHANGELOG.md", "LICENSE", "uv.lock",
    }


@pytest.mark.parametrize("path", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"], ids=_name)
def test_a_page_has_one_title(path):
    fenced, titles = False, 0
    for line in path.read_text().splitlines():
        fenced ^= line.startswith("```")
        titles += not fenced and line.startswith("# ")

    assert titles == 1
