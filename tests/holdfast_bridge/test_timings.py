"""Samples of calls end in the right histograms and windows."""

from __future__ import annotations

from control_builders import built

from holdfast_bridge.core.latency import FirstAudio, Silence, Stage, StageTook, Switched
from holdfast_bridge.telemetry import Metrics
from holdfast_bridge.timings import Timings

CASCADE = {
    "name": "c", "kind": "cascade", "hearing": {"kind": "deepgram-flux"}, "thinking": {"kind": "anthropic"},
    "speaking": {"kind": "cartesia"},
}  # fmt: skip
OPENAI = {"name": "o", "kind": "openai", "baseUrl": "wss://o.example.com", "model": "m"}


def timings() -> tuple[Timings, Metrics, tuple[object, ...]]:
    settings = built(attempts=[CASCADE, OPENAI], latency={"llmMs": 150, "firstAudioMs": 800})
    metrics = Metrics()
    made = Timings(budgets_ms=lambda: settings.agent.budgets_ms, metrics=metrics, clock=lambda: 5.0)
    return made, metrics, settings.agent.attempts


def counted(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"holdfast_bridge_{name}_seconds_count", labels)


def test_every_sample_is_counted_under_the_kind_of_what_was_asked() -> None:
    made, metrics, (cascade, openai) = timings()
    for sample in (
        StageTook(Stage.THINKING, 0.2), StageTook(Stage.TOOL, 0.3), StageTook(Stage.NETWORK, 0.05), FirstAudio(0.7),
        Silence(0.7), Switched("switch", "ready", 0.3),
    ):  # fmt: skip
        made.took(cascade, sample)
    made.took(openai, FirstAudio(0.4))
    assert counted(metrics, "stage", stage="thinking", kind="anthropic") == 1
    assert counted(metrics, "stage", stage="tool", kind="tool") == 1
    assert counted(metrics, "stage", stage="network", kind="carrier") == 1
    assert counted(metrics, "first_audio", kind="cascade") == 1
    assert counted(metrics, "first_audio", kind="openai") == 1
    assert counted(metrics, "silence", kind="cascade") == 1
    assert counted(metrics, "switch", kind="cascade", what="switch", outcome="ready") == 1


def test_the_operator_is_told_of_stages_and_of_whole_attempts_beside_their_budgets() -> None:
    made, _, (cascade, openai) = timings()
    made.took(cascade, StageTook(Stage.THINKING, 0.2))
    made.took(cascade, StageTook(Stage.SPEAKING, 0.2))
    made.took(cascade, StageTook(Stage.NETWORK, 0.2))
    made.took(openai, FirstAudio(0.9))
    assert [(each["part"], each["over"], each["budgetMs"]) for each in made.report()] == [
        ("c/thinking", 1, 150), ("c/speaking", 0, None), ("o", 1, 800),
    ]  # fmt: skip
