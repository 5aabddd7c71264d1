"""The CloudEvents SDK of Python against a running Sapa, over HTTP and over NATS.

  sdk.py HTTP_URL NATS_URL KEY_FILE TOKEN_FILE        (started by `run`)

The SDK writes its headers in lower case, booleans as `True`, and no content type unless it is told
one. Both of its forms must be the same event, over both transports, and its mistakes must get the
same code over both.
"""

import asyncio
import sys
from datetime import datetime
from importlib.metadata import version

import nats
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from common import ANSWER_SECONDS, CONTACTED, Http, attributes, check, main

SUBJECT = "sapa.v1.main.in.interaction.contacted"
SOURCE = "/clients/cloudevents-python"


def event(**more):
    """An event of the SDK, with its time as the SDK wants it."""
    it = attributes("contacted", "c-sdk-py", SOURCE)
    return CloudEvent(it | {"time": datetime.fromisoformat(it["time"])} | more, CONTACTED)


def named(it):
    return {"source": it.get_source(), "id": it.get_id()}


def over_http(http, message):
    return http.ask("POST", "/v1/events", message.body, message.headers)


async def over_nats(stream, message):
    await stream.publish(SUBJECT, message.body, headers=message.headers, timeout=ANSWER_SECONDS)


async def same_event(http, stream):
    """One event in both forms over both transports is recorded once."""
    it = event(datacontenttype="application/json")
    forms = [to_binary_event(it), to_structured_event(it)]
    status, first = over_http(http, forms[0])
    check("binary over HTTP is recorded", (201, "recorded"), (status, first.get("outcome")), first)
    status, again = over_http(http, forms[1])
    check("structured is the same event", (200, "duplicate"), (status, again.get("outcome")), again)
    for form in forms:
        await over_nats(stream, form)
    status, receipt = http.receipt(named(it))
    check("it has one position", first["position"], receipt.get("position"), receipt)


async def default_forms(http, stream):
    """What the SDK makes of an event when nothing is said about its data."""
    for to_form in (to_binary_event, to_structured_event):
        it = event(imported=False, abcdefghijklmnopqrstuvwxyz="kept")
        await over_nats(stream, to_form(it))
        status, receipt = http.receipt(named(it))
        told = (status, receipt.get("outcome"))
        check(f"{to_form.__name__} over NATS is recorded", (200, "recorded"), told, receipt)
        status, again = over_http(http, to_form(it))
        check(f"{to_form.__name__} over HTTP is the same", (200, "duplicate"), (status, again.get("outcome")), again)


async def mistakes(http, stream):
    """What is wrong gets one code over both, and is found by its id."""
    text = event(datacontenttype="text/plain")
    both = to_binary_event(event())
    both.headers["content-type"] = "application/cloudevents+json"
    for message, code in ((to_binary_event(text), "media_type"), (both, "mode_ambiguous")):
        status, problem = over_http(http, message)
        check(f"{code} over HTTP", code, problem.get("code"), (status, problem))
        await over_nats(stream, message)
        status, receipt = http.receipt({"source": SOURCE, "id": message.headers["ce-id"]})
        told = (receipt.get("outcome"), receipt.get("code"))
        check(f"{code} over NATS", ("quarantined", code), told, receipt)


async def everything(http_url, nats_url, key_file, token_file):
    http = Http(http_url, key_file)
    with open(token_file, encoding="utf-8") as file:
        token = file.read().strip()
    connection = await nats.connect(nats_url, token=token, allow_reconnect=False)
    try:
        stream = connection.jetstream()
        await same_event(http, stream)
        await default_forms(http, stream)
        await mistakes(http, stream)
    finally:
        await connection.close()


main(f"sdk.py (cloudevents {version('cloudevents')})", lambda: asyncio.run(everything(*sys.argv[1:5])))
