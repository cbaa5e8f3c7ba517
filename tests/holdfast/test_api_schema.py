"""From models to CRDs."""

from typing import Annotated

import pytest
from crd_pairs import PAIRS
from pydantic import Field

from holdfast.api import generate, schema
from holdfast.api.schema import Model


def walk(node, path="$"):
    yield path, node
    for name, each in node.get("properties", {}).items():
        yield from walk(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{path}[]")


@pytest.mark.parametrize("kind", generate.KINDS)
def test_schemas_are_structural(kind):
    (version,) = generate.crd(kind)["spec"]["versions"]
    for path, node in walk(version["schema"]["openAPIV3Schema"]):
        assert not {"$ref", "anyOf", "allOf", "title", "$defs", "const"} & node.keys(), path
        assert "type" in node, path


@pytest.mark.parametrize("kind", generate.KINDS)
def test_no_default_holds_null_which_an_api_server_refuses(kind):
    (version,) = generate.crd(kind)["spec"]["versions"]
    for path, node in walk(version["schema"]["openAPIV3Schema"]):
        told = node.get("default", {})
        assert told is not None, path
        assert None not in (told.values() if isinstance(told, dict) else ()), path


@pytest.mark.parametrize("kind", generate.KINDS)
def test_every_rule_is_put_to_a_real_api_server(kind):
    """With something to accept and something to refuse. What is immutable takes two steps: see test_crds."""
    (version,) = generate.crd(kind)["spec"]["versions"]
    nodes = (node for _, node in walk(version["schema"]["openAPIV3Schema"]))
    messages = [rule["message"] for node in nodes for rule in node.get("x-kubernetes-validations", [])]
    refused = {words for *_, words in PAIRS.values()}
    untried = [message for message in messages if not any(words in message for words in refused)]

    assert [message for message in untried if "is immutable" not in message] == []


def test_the_written_files_are_fresh():
    assert generate.main(["--check"]) == 0


def test_a_stale_file_fails_the_check_and_is_named(tmp_path, capsys):
    assert generate.main(["--root", str(tmp_path)]) == 0
    (tmp_path / "crds" / "regions.yaml").write_text("old")

    assert generate.main(["--check", "--root", str(tmp_path)]) == 1
    assert "stale: crds/regions.yaml" in capsys.readouterr().err


def test_helm_never_deletes_a_crd():
    for kind in generate.KINDS:
        assert generate.crd(kind)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize("kind", [str, list[int], dict[str, int]])
def test_an_unbounded_field_cannot_be_written(kind):
    class Loose(Model):
        field: kind

    with pytest.raises(ValueError, match=r"\$\.field: .* without max"):
        schema.to_structural(Loose.model_json_schema())


def test_a_union_of_kinds_cannot_be_written():
    class Either(Model):
        field: Annotated[str, Field(max_length=3)] | int

    with pytest.raises(ValueError, match="no structural form"):
        schema.to_structural(Either.model_json_schema())
