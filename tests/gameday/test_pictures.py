"""Plots that stay within their pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from holdfast_gameday import pictures


def test_curves_end_at_one_and_bars_stay_within_the_picture():
    drawn = pictures.curves({"3": [1.0, 2.0, 9.0]}, title="Times") + pictures.bars({"3": 40.0, "9": 0.0}, title="Moves")

    assert f"{pictures.TOP:.1f}" in drawn
    assert "3 (3)" in drawn


def test_rows_keep_long_names_and_all_bars_within_the_picture():
    values = {"twilio-agent-connect, TLS": 94.0, "holdfast": 225.0, "pipecat": 0.0}
    drawn = ET.fromstring(pictures.rows(values, title="Calls"))
    texts = [each for each in drawn if each.tag.endswith("text")]
    bars = [each for each in drawn if each.tag.endswith("rect")]

    assert [each.text for each in texts] == [
        "Calls", "twilio-agent-connect, TLS", "94", "holdfast", "225", "pipecat", "0",
    ]  # fmt: skip
    assert all(float(bar.get("x")) + float(bar.get("width")) < pictures.WIDTH - 40 for bar in bars)
    assert float(bars[1].get("width")) > float(bars[0].get("width")) > float(bars[2].get("width")) == 0.0
    assert float(drawn.get("viewBox").split()[3]) > float(bars[-1].get("y")) + float(bars[-1].get("height"))
