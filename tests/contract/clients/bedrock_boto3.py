"""AWS's own client as seen by `test_bedrock_sim.py`, which runs this file where boto3 is at hand: it is no part of the
project. Reads what to ask as JSON from its input and prints what came as JSON.
"""

from __future__ import annotations

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.validate import ParamValidator


def client(service: str, given: dict) -> object:
    return boto3.client(
        service,
        endpoint_url=given["endpoint"],
        region_name=given["region"],
        aws_access_key_id=given["key"],
        aws_secret_access_key=given["secret"],
        aws_session_token=given.get("token"),
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
    )


def converse(given: dict) -> dict:
    """The events of one answer; an exception's name in their place or after them."""
    events: list = []
    try:
        answer = client("bedrock-runtime", given).converse_stream(modelId=given["model"], **given["asked"])
        events.extend(answer["stream"])
    except (ClientError, EventStreamError) as error:
        said = error.response["Error"]
        return {"events": events, "error": said["Code"], "message": said["Message"]}
    return {"events": events}


def models(given: dict) -> dict:
    try:
        found = client("bedrock", given).list_foundation_models()["modelSummaries"]
        return {"models": [one["modelId"] for one in found]}
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}


def check(given: dict) -> dict:
    """What AWS's description has against a request; empty when nothing."""
    shape = client("bedrock-runtime", given).meta.service_model.operation_model("ConverseStream").input_shape
    found = ParamValidator().validate({"modelId": given["model"], **given["asked"]}, shape)
    return {"report": found.generate_report()}


DO = {"converse": converse, "models": models, "check": check}

if __name__ == "__main__":
    tasks = json.load(sys.stdin)
    print(json.dumps([DO[task["do"]](task) for task in tasks]))
