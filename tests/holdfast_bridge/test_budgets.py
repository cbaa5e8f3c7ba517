"""What a pod tells of its parts' times: counts that add up, of lately, and of no more parts than there can be."""

from __future__ import annotations

from holdfast_bridge.core.budgets import MAX_PARTS, MAX_SAMPLES, WINDOW_S, Windows


def test_a_part_is_told_with_its_p95_and_how_many_were_over_the_budget() -> None:
    windows = Windows()
    for number in range(1, 21):
        windows.add("c/thinking", number / 100, now=1.0)
    assert windows.report({"c/thinking": 180}, now=2.0) == [
        {"part": "c/thinking", "count": 20, "over": 2, "budgetMs": 180, "p95Ms": 190},
    ]


def test_without_a_budget_nothing_is_over_it() -> None:
    windows = Windows()
    windows.add("c", 9.0, now=1.0)
    assert windows.report({}, now=1.0) == [{"part": "c", "count": 1, "over": 0, "budgetMs": None, "p95Ms": 9000}]


def test_what_is_old_is_history_and_a_part_without_news_is_not_told() -> None:
    windows = Windows()
    windows.add("c", 0.1, now=0.0)
    windows.add("c", 0.2, now=1.0)
    (told,) = windows.report({}, now=WINDOW_S + 0.5)
    assert (told["count"], told["p95Ms"]) == (1, 200)
    assert windows.report({}, now=WINDOW_S + 2) == []


def test_windows_are_bounded() -> None:
    windows = Windows()
    for number in range(MAX_SAMPLES + 5):
        windows.add("c", float(number), now=1.0)
    assert windows.report({}, now=1.0)[0]["count"] == MAX_SAMPLES
    for number in range(MAX_PARTS):
        windows.add(f"p{number}", 0.1, now=1.0)
    assert [each["part"] for each in windows.report({}, now=1.0)] == [f"p{number}" for number in range(MAX_PARTS)]
