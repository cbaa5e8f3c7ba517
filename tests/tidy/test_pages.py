"""What the pages take from the code is what the code says now; `make docs` writes it."""

import pytest

from holdfast_gameday import pages


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_fresh(name):
    text = (pages.ROOT / name).read_text(encoding="utf-8")

    assert text == pages.written(text, pages.PAGES[name])


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_line_of_prose_fits_a_screen(name):
    text = (pages.ROOT / name).read_text(encoding="utf-8")
    lines = pages.MARKED.sub("", text).splitlines()

    assert [line for line in lines if len(line) > 130 and not line.startswith(("|", "!"))] == []
