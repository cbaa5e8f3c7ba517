"""Mounted files: what is wrong is named by file and field, what is secret is never shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from control_builders import CARRIER_TOKEN, ZONE_KEY, agent_json, mounted

from holdfast_bridge import agent_config, providing, settings
from holdfast_bridge.errors import SettingsError

OPENAI = {
    "name": "openai",
    "kind": "openai",
    "voice": "marin",
    "model": "gpt-realtime",
    "baseUrl": "wss://eu.api.openai.com/v1/realtime",
    "query": {},
    "headers": {},
    "keySource": "Secret clinic/openai key api-key",
}


def test_a_mounted_directory_is_read_whole(tmp_path: Path) -> None:
    read = settings.load(mounted(tmp_path), pod="p", pod_uid="u")
    assert read.agent.id == "clinic/front-desk"
    assert read.agent.path == "/a/clinic/front-desk"
    assert read.agent.hosts == {"fra.voice.example.com", "eu.voice.example.com"}
    assert read.fleet.zone_keys == (ZONE_KEY.encode(),)
    assert read.fleet.carrier_tokens == (CARRIER_TOKEN,)


def test_current_and_previous_keys_are_both_held(tmp_path: Path) -> None:
    mounted(tmp_path)
    (tmp_path / "fleet" / "zone-key-previous").write_text("older")
    (tmp_path / "fleet" / "carrier-token-previous").write_text("older too")
    fleet = settings.load(tmp_path).fleet
    assert fleet.zone_keys == (ZONE_KEY.encode(), b"older")
    assert fleet.carrier_tokens == (CARRIER_TOKEN, "older too")


def test_a_missing_provider_key_is_a_fact_that_names_its_secret(tmp_path: Path) -> None:
    key = tmp_path / "provider" / "openai" / "key"
    mounted(tmp_path, attempts=[OPENAI | {"keyFile": str(key)}, {"name": "echo", "kind": "loopback"}])
    read = settings.load(tmp_path)
    assert read.missing_keys == ("Secret clinic/openai key api-key",)
    assert [attempt.name for attempt in read.usable_attempts] == ["echo"]
    key.parent.mkdir(parents=True)
    key.write_text("sk-1\n")
    read = settings.load(tmp_path)
    assert read.missing_keys == ()
    assert read.provider_keys == {"openai": "sk-1"}


def test_a_tools_secrets_are_read_and_the_one_that_is_missing_is_named(tmp_path: Path) -> None:
    files = [tmp_path / "tool" / "book" / name for name in ("current", "previous")]
    sources = ["Secret clinic/booking key new", "Secret clinic/booking key old"]
    book = {"name": "book", "signingFiles": [str(file) for file in files], "signingSources": sources}
    mounted(tmp_path, tools=[book, {"name": "look"}])
    files[0].parent.mkdir(parents=True)
    files[1].write_text("whsec_b2xk\n")
    read = settings.load(tmp_path)
    assert read.tool_secrets == {"book": ("", "whsec_b2xk"), "look": ()}
    assert read.missing_keys == ("Secret clinic/booking key new",)
    assert "b2xk" not in repr(read)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"version": 2}, "version 2"),
        ({"region": "iad"}, "region 'iad'"),
        ({"buddy": "iad"}, "buddy 'iad'"),
        ({"regions": []}, "$.regions"),
        ({"attempts": []}, "$.attempts"),
        ({"attempts": [OPENAI, OPENAI]}, "attempts names an attempt twice"),
        ({"attempts": [OPENAI | {"baseUrl": "http://x"}]}, "attempts[0].baseUrl"),
        ({"attempts": [OPENAI | {"kind": "other"}]}, "$.attempts[0].kind"),
        ({"limits": {"callsPerPod": 0}}, "$.limits.callsPerPod"),
        ({"drainSeconds": "x"}, "$.drainSeconds"),
        ({"policyHost": "bad host"}, "$.policyHost"),
        ({"carrier": {"name": "t", "kind": "twilio"}}, "accountSid"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(mounted(tmp_path, **changes))
    assert "agent.json" in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_field_or_file_is_named(tmp_path: Path) -> None:
    body = agent_json()
    del body["zone"]
    with pytest.raises(SettingsError, match="zone"):
        agent_config.decode_agent(json.dumps(body).encode(), source="agent.json")
    with pytest.raises(SettingsError, match="is not JSON"):
        agent_config.decode_agent(b"{", source="agent.json")
    with pytest.raises(SettingsError, match=r"agent\.json"):
        settings.load(tmp_path / "nowhere")
    mounted(tmp_path)
    (tmp_path / "fleet" / "zone-key").unlink()
    with pytest.raises(SettingsError, match="zone-key"):
        settings.load(tmp_path)


def test_no_secret_is_shown_by_a_repr(tmp_path: Path) -> None:
    text = repr(settings.load(mounted(tmp_path)))
    for secret in (ZONE_KEY, CARRIER_TOKEN, "api-secret", "operator-token"):
        assert secret not in text


def test_a_changed_file_takes_effect_and_a_bad_one_does_not(tmp_path: Path) -> None:
    mounted(tmp_path)
    current = settings.SettingsFile(lambda: settings.load(tmp_path))
    assert not current.refresh()
    mounted(tmp_path, generation=4)
    assert current.refresh()
    assert current().agent.generation == 4
    (tmp_path / "agent.json").write_text("{")
    assert not current.refresh()
    assert "agent.json" in current.problem
    assert current().agent.generation == 4
    mounted(tmp_path, generation=5)
    assert current.refresh()
    assert current.problem == ""


def test_files_are_checked_when_they_change_and_not_at_every_look(tmp_path: Path) -> None:
    checked: list[int] = []

    def fit(found: settings.Settings) -> settings.Settings:
        checked.append(found.agent.generation)
        if found.agent.generation == 9:
            raise settings.SettingsError("attempt a: cannot be opened")
        return found

    mounted(tmp_path, generation=3)
    current = settings.SettingsFile(lambda: settings.load(tmp_path), fit)
    assert not current.refresh()
    assert checked == [3]
    mounted(tmp_path, generation=9)
    assert not current.refresh()
    assert (current.problem, current().agent.generation) == ("attempt a: cannot be opened", 3)
    assert current.problems() == ("not in force: attempt a: cannot be opened",)
    mounted(tmp_path, generation=4)
    assert current.refresh()
    assert current.problems() == ()
    assert checked == [3, 9, 4]


def test_an_attempt_that_cannot_be_opened_is_set_aside_at_the_start_and_refused_in_a_change(tmp_path: Path) -> None:
    """At the start the others serve; later on, what is in force is better than what is not fit."""

    def two(**second: object) -> dict[str, object]:
        return {"attempts": [OPENAI, {**OPENAI, "name": "second", **second}]}

    mounted(tmp_path, **two(options={"tempo": 2}))
    current = settings.SettingsFile(lambda: settings.load(tmp_path), providing.fit)
    (why,) = current().unfit
    assert "attempt second" in why
    assert "no 'tempo'" in why
    assert [attempt.name for attempt in current().agent.attempts] == ["openai"]
    assert current.problems() == (f"not tried: {why}",)

    mounted(tmp_path, generation=4, **two(options={"tempo": 2}))
    assert current.refresh(), "what was unfit before holds up no other change"
    assert (current().agent.generation, current().unfit) == (4, (why,))

    mounted(tmp_path, generation=5, **two())
    assert current.refresh()
    assert (len(current().agent.attempts), current.problems()) == (2, ())

    mounted(tmp_path, generation=6, **two(options={"tempo": 2}))
    assert not current.refresh()
    assert (current().agent.generation, len(current().agent.attempts)) == (5, 2)
    assert current.problems() == (f"not in force: {why}",)


def test_a_pod_with_no_attempt_that_can_be_opened_does_not_start(tmp_path: Path) -> None:
    mounted(tmp_path, attempts=[{**OPENAI, "options": {"tempo": 2}}])
    with pytest.raises(SettingsError, match="no 'tempo'"):
        settings.SettingsFile(lambda: settings.load(tmp_path), providing.fit)


def test_what_is_held_is_proved_only_while_it_can_be_read(tmp_path: Path) -> None:
    mounted(tmp_path)
    current = settings.SettingsFile(lambda: settings.load(tmp_path))
    shown = current.proof()
    assert shown
    (tmp_path / "fleet" / "zone-key").unlink()
    current.refresh()
    assert current.proof() == ""
    assert current().fleet.zone_keys == (ZONE_KEY.encode(),), "calls go on with the key that was there"
    mounted(tmp_path)
    current.refresh()
    assert current.proof() == shown


def test_a_proof_tells_no_key_and_differs_for_each_file(tmp_path: Path) -> None:
    mounted(tmp_path)
    shown = [settings.load(tmp_path).fleet.proof]
    for name in settings.FLEET_KEYS:
        (tmp_path / "fleet" / name).write_text("another")
        shown.append(settings.load(tmp_path).fleet.proof)
    assert len(set(shown)) == 8
    assert all(secret not in "".join(shown) for secret in (ZONE_KEY, CARRIER_TOKEN, "api-secret", "another"))
