"""What a region tells of its probes' times is of now, or nothing."""

from __future__ import annotations

from holdfast.gather.latencies import Latencies


def test_the_last_measurement_counts_and_is_forgotten_after_a_minute():
    now = 100.0
    latencies = Latencies(clock=lambda: now)
    latencies.note("region/fra", 0.0424)
    latencies.note("region/ams", 0.3)
    now = 130.0
    latencies.note("region/fra", 0.0416)
    assert latencies.recent() == {"region/fra": 42, "region/ams": 300}
    now = 161.0
    assert latencies.recent() == {"region/fra": 42}
