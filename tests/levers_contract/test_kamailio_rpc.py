"""The way to a Kamailio: what each refusal is called, TLS with a client certificate, and no secret anywhere."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from world_vendors_tls import contexts

from holdfast.levers.base import DriverError
from holdfast.levers.kamailio_rpc import Proxy, authorization, no_authorization
from holdfast.levers.kamailio_tls import client_tls

EMPTY = {"NRSETS": 0, "RECORDS": []}
FRA = "sip:10.0.0.5:5060"


async def token() -> str:
    return authorization({"token": b"t0ken\n"})


def proxy(answer: httpx.Response | Exception, seen: list[httpx.Request] | None = None) -> Proxy:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return Proxy(
        lever="sbc", url="http://console:s3cret@10.0.0.2:5080/RPC", group=1, http=http, authorization=token
    )


def refusal(message: str) -> httpx.Response:
    return httpx.Response(500, json={"jsonrpc": "2.0", "error": {"code": 500, "message": message}, "id": 1})


@pytest.mark.parametrize(
    ("answer", "code", "retryable", "unknown"),
    [
        (httpx.Response(401), "Unauthorized", False, False),
        (httpx.Response(403), "Unauthorized", False, False),
        (httpx.Response(429), "RateLimited", True, False),
        (refusal("State Update Failed"), "Refused", False, False),
        (httpx.Response(500, text="internal"), "VendorError", True, True),
        (httpx.Response(404, text="not here"), "Malformed", False, False),
        (httpx.Response(200, text="<html>"), "Malformed", True, True),
        (httpx.Response(200, text="[" * 100_000), "Malformed", True, True),
        (httpx.Response(200, json=[1]), "Malformed", True, True),
        (httpx.ConnectError("refused"), "Unreachable", True, False),
        (httpx.ReadError("reset"), "Unreachable", True, True),
    ],
)
async def test_each_failure_of_a_write_has_a_stable_code_and_no_secret(
    answer: httpx.Response | Exception, code: str, retryable: bool, unknown: bool
) -> None:
    with pytest.raises(DriverError) as told:
        await proxy(answer).put(FRA, enabled=False)
    assert (told.value.code, told.value.retryable, told.value.outcome_unknown) == (code, retryable, unknown)
    assert str(told.value).startswith("lever sbc: proxy 10.0.0.2:5080: ")
    assert "t0ken" not in str(told.value)
    assert "s3cret" not in str(told.value)


async def test_the_group_is_sent_as_a_number_and_the_state_as_a_letter() -> None:
    """A string for the group is read as group 0 by Kamailio, which then finds nothing."""
    seen: list[httpx.Request] = []
    await proxy(httpx.Response(200, json={"result": "Ok."}), seen).put(FRA, enabled=False)
    await proxy(httpx.Response(200, json={"result": "Ok."}), seen).put(FRA, enabled=True)
    assert [json.loads(each.content)["params"] for each in seen] == [["d", 1, FRA], ["ap", 1, FRA]]
    assert {each.headers["authorization"] for each in seen} == {"Bearer t0ken"}
    assert {str(each.url) for each in seen} == {"http://10.0.0.2:5080/RPC"}


async def test_an_answer_of_another_shape_is_malformed() -> None:
    with pytest.raises(DriverError, match=r"dispatcher\.list: no list RECORDS") as told:
        await proxy(httpx.Response(200, json={"result": {}})).look({})
    assert told.value.code == "Malformed"


def test_a_secret_is_a_bearer_token_or_a_name_and_a_password() -> None:
    assert authorization({"token": b" abc\n"}) == "Bearer abc"
    assert authorization({"username": b"me", "password": b"p w\n"}) == f"Basic {base64.b64encode(b'me:p w').decode()}"
    assert authorization({}) == ""


async def test_a_secret_that_is_no_headers_text_is_refused_before_it_is_sent() -> None:
    async def broken() -> str:
        return authorization({"token": b"a\nb"})

    seen: list[httpx.Request] = []
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(200)))
    with pytest.raises(DriverError) as told:
        await Proxy(lever="sbc", url="http://10.0.0.2/RPC", group=1, http=http, authorization=broken).look({})
    assert (told.value.code, seen) == ("Unauthorized", [])


@pytest.fixture
async def behind_tls(tmp_path: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Something in front of Kamailio that asks for a client certificate; and what trusts it but shows none."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "result": EMPTY, "id": 1})

    server, client = contexts(tmp_path, "sbc.example.com")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(tmp_path / "crt.pem")
    app = web.Application()
    app.router.add_post("/RPC", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/RPC", client
    await runner.cleanup()


async def test_a_client_certificate_opens_the_way_and_without_it_there_is_none(
    behind_tls: tuple[str, ssl.SSLContext], tmp_path: Path
) -> None:
    url, tls = behind_tls
    async with httpx.AsyncClient(verify=tls, timeout=None) as http:
        with pytest.raises(DriverError) as told:
            await Proxy(lever="sbc", url=url, group=1, http=http, authorization=no_authorization).look({})
    assert (told.value.code, told.value.retryable) == ("Unreachable", True)
    certificate, key = (tmp_path / "crt.pem").read_bytes(), (tmp_path / "key.pem").read_bytes()
    secret = {"ca.crt": certificate, "tls.crt": certificate, "tls.key": key}
    async with httpx.AsyncClient(verify=client_tls(secret, lever="sbc", trusted=""), timeout=None) as http:
        look = await Proxy(lever="sbc", url=url, group=1, http=http).look({})
    assert look.destinations == ()


@pytest.mark.parametrize("broken", ["ca.crt", "tls.crt", "tls.key"])
def test_a_secret_whose_parts_do_not_fit_is_told_without_a_word_of_it(tmp_path: Path, broken: str) -> None:
    contexts(tmp_path, "sbc.example.com")
    certificate, key = (tmp_path / "crt.pem").read_bytes(), (tmp_path / "key.pem").read_bytes()
    secret = {"ca.crt": certificate, "tls.crt": certificate, "tls.key": key} | {broken: b"s3cret\xff"}
    with pytest.raises(DriverError) as told:
        client_tls(secret, lever="sbc", trusted="")
    assert (told.value.code, told.value.__cause__) == ("Unauthorized", None)
    assert str(told.value) == "lever sbc: tls.crt, tls.key and ca.crt of the Secret do not fit"


def test_a_secret_without_an_authority_trusts_the_public_ones(tmp_path: Path) -> None:
    contexts(tmp_path, "sbc.example.com")
    context = client_tls({}, lever="sbc", trusted=str(tmp_path / "crt.pem"))
    assert (context.verify_mode, len(context.get_ca_certs())) == (ssl.CERT_REQUIRED, 1)
