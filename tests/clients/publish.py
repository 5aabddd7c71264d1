"""The plain Python client against a running Sapa: accepted, recorded once, on the timeline, relayed.

    publish.py HTTP_URL NATS_URL KEY_FILE TOKEN_FILE        (started by `run`, beside this file)

Publishes for the customer c-py one structured and one binary CloudEvent with JetStream's `publish`
of nats-py, three times each and a fourth time in the other mode; then one event of an unknown type.
Asks for the receipts, reads the timeline over request-reply and HTTP, and reads SAPA_OUT with an
ordered consumer. Nothing here knows Sapa: no library of ours, no Nats-Msg-Id that would let the
broker do the counting. Stops at the first difference with exit 1 and shows question and answer.
publish.mjs is the same in JavaScript; change both.
"""

import asyncio
import json
import sys
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone

import nats

CUSTOMER = "c-py"
SOURCE = "/clients/python"
COPIES = 3
ANSWER_SECONDS = 10
RELAY_SECONDS = 20
# Long enough for a copy that should not be there to arrive after the last one that should.
QUIET_SECONDS = 2

passed = 0


class Difference(Exception):
    """What was found is not what is promised."""


def check(what, wanted, found, shown=None):
    """Counts one thing that is as promised, or stops with what was found instead."""
    global passed
    if wanted != found:
        told = f"\n  in: {shown}" if shown is not None else ""
        raise Difference(f"{what}\n  wanted: {wanted!r}\n  found:  {found!r}{told}")
    passed += 1


def event(action, data):
    """One fact about our customer, without its id."""
    now = datetime.now(timezone(timedelta(hours=7))).replace(microsecond=0)
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": f"sapa.interaction.{action}.v1",
        "subject": CUSTOMER,
        "time": now.isoformat(),
        "actor": "staff/rudi",
        "actorkind": "staff",
        "channel": "phone",
        "data": data,
    }


def structured(it):
    """Headers and body: the whole event in the body."""
    return {"Content-Type": "application/cloudevents+json"}, json.dumps(it).encode()


def binary(it):
    """Headers and body: the attributes in headers, the data in the body."""
    headers = {f"ce-{name}": value for name, value in it.items() if name != "data"}
    headers["Content-Type"] = "application/json"
    return headers, json.dumps(it["data"]).encode()


class Sapa:
    """The faces of one server: publishing, asking over NATS, asking over HTTP."""

    def __init__(self, connection, http, key):
        self.connection = connection
        self.stream = connection.jetstream()
        self.http = http
        self.key = key

    async def publish(self, action, it, mode):
        """Publishes one event; the broker's acknowledgement says `accepted`."""
        headers, body = mode(it)
        subject = f"sapa.v1.main.in.interaction.{action}"
        ack = await self.stream.publish(subject, body, headers=headers, timeout=ANSWER_SECONDS)
        said = f"the acknowledgement of {subject} ({mode.__name__})"
        check(f"{said} names the stream", "SAPA_IN", ack.stream)
        check(f"{said} is no duplicate of the broker's", False, bool(ack.duplicate))
        return ack.seq

    async def ask(self, operation, question, headers=None):
        """Asks by request-reply; the answer must be good."""
        subject = f"sapa.v1.main.api.{operation}"
        body = json.dumps(question).encode()
        try:
            answer = await self.connection.request(
                subject, body, timeout=ANSWER_SECONDS, headers=headers
            )
        except nats.errors.Error as error:
            raise Difference(f"{subject} {body.decode()} was not answered: {error}") from error
        shown = f"{subject} {body.decode()} -> {answer.headers} {answer.data.decode()}"
        check(f"{subject} answers 200", "200", (answer.headers or {}).get("Sapa-Status"), shown)
        return json.loads(answer.data), shown

    async def receipt(self, it):
        """What became of an event, once something has.

        Receipts are for publishers, and who asks without a key has the scopes of an agent.
        """
        question = {"source": it["source"], "id": it["id"], "wait": "5s"}
        return await self.ask("receipts.get", question, {"Authorization": f"Bearer {self.key}"})

    def get(self, path, query):
        """Asks over HTTP with the key; the answer must be good."""
        url = f"{self.http}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.key}"})
        # A proxy of the machine has no business on the loopback address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            text = answer.read().decode()
            check(f"GET {path} answers 200", 200, answer.status, text)
        return json.loads(text)


async def publish_and_ask(sapa, action, it, modes):
    """Publishes the same event in each of these modes; returns the one position it got."""
    positions = set()
    sequences = set()
    for mode in modes:
        sequences.add(await sapa.publish(action, it, mode))
        receipt, shown = await sapa.receipt(it)
        check("the receipt says recorded", "recorded", receipt.get("outcome"), shown)
        check("the receipt names the event", it["id"], receipt.get("id"), shown)
        check("the receipt names the stream", f"customer/{CUSTOMER}", receipt.get("stream"), shown)
        positions.add(receipt.get("position"))
    check("the broker kept every copy", len(modes), len(sequences))
    check(f"the position of {action} is the same each time", 1, len(positions), positions)
    position = positions.pop()
    whole = isinstance(position, int) and position >= 1
    check("a position is a whole number", True, whole, position)
    return position


async def quarantine(sapa, notices):
    """An event of a type that nobody knows is kept apart, and its sender can find that out.

    Nothing else was: a copy that was taken for another event would have been kept apart as well.
    """
    bad = event("teleported", {"purpose": "courtesy"})
    await sapa.publish("teleported", bad, structured)
    receipt, shown = await sapa.receipt(bad)
    check("the receipt of an unknown type", "quarantined", receipt.get("outcome"), shown)
    check("the reason", "unknown_type", receipt.get("code"), shown)
    check("it can be looked up", True, bool(receipt.get("quarantine_id")), shown)
    found = []
    while (bad["id"], "unknown_type") not in found:
        notice = json.loads((await notices.next_msg(timeout=ANSWER_SECONDS)).data)
        if notice["source"] == SOURCE:
            found.append((notice["event_id"], notice["code"]))
    check("the notices of what was kept apart", [(bad["id"], "unknown_type")], found)


async def timeline(sapa, recorded):
    """Exactly what was recorded, newest first, the same over both faces."""
    last = max(recorded.values())
    question = {"id": CUSTOMER, "at_least": last, "wait": "5s"}
    page, shown = await sapa.ask("timeline.list", question)
    check("the timeline has reached the last event", True, page["as_of"]["reached"], shown)
    wanted = sorted(((at, f"{SOURCE}#{id}") for id, at in recorded.items()), reverse=True)
    found = [(it["position"], it["event"]) for it in page["items"]]
    check("the timeline over NATS", sorted(wanted), sorted(found), shown)
    over_http = sapa.get(f"/v1/customers/{CUSTOMER}/timeline", {"at_least": last, "wait": "5s"})
    check("the timeline over HTTP has the same entries", page["items"], over_http["items"])


async def relayed(sapa, sent, recorded):
    """Each event once on SAPA_OUT, in the order of the log, with its position."""
    filter_subject = f"sapa.v1.main.out.*.*.{CUSTOMER}"
    consumer = await sapa.stream.subscribe(filter_subject, stream="SAPA_OUT", ordered_consumer=True)
    wanted = sorted((at, id) for id, at in recorded.items())
    found = []
    patience = RELAY_SECONDS
    while True:
        try:
            message = await consumer.next_msg(timeout=patience)
        except nats.errors.TimeoutError:
            break
        body = json.loads(message.data)
        shown = f"{message.subject} {message.headers} {message.data.decode()}"
        position = message.headers["Sapa-Position"]
        topic_action = body["type"].removeprefix("sapa.").removesuffix(".v1")
        subject = f"sapa.v1.main.out.{topic_action}.{CUSTOMER}"
        check("the subject follows from the type", subject, message.subject, shown)
        media_type = message.headers["Content-Type"][:23].lower()
        check("it is structured", "application/cloudevents", media_type, shown)
        check("the tenant is in the headers", "main", message.headers["Sapa-Tenant"], shown)
        check("header and attribute have one position", position, body["position"], shown)
        # The time comes back in UTC; everything else as it was sent.
        wanted_members = {name: it for name, it in sent[body["id"]].items() if name != "time"}
        members = {name: body.get(name) for name in wanted_members}
        check("attributes and data are what was sent", wanted_members, members, shown)
        found.append((int(position), body["id"]))
        if len(found) >= len(wanted):
            patience = QUIET_SECONDS
    check("SAPA_OUT has each event once, in log order", wanted, found)
    await consumer.unsubscribe()


async def run(http, nats_url, key, token):
    """Everything, on one connection."""
    connection = await nats.connect(nats_url, token=token, allow_reconnect=False)
    try:
        sapa = Sapa(connection, http, key)
        notices = await connection.subscribe("sapa.v1.main.quarantine.*")
        contacted = event("contacted", {"purpose": "courtesy", "outcome": "reached"})
        greeted = event("greeted", {"by_name": True, "manner": "phone"})
        recorded = {
            contacted["id"]: await publish_and_ask(
                sapa, "contacted", contacted, [structured] * COPIES + [binary]
            ),
            greeted["id"]: await publish_and_ask(
                sapa, "greeted", greeted, [binary] * COPIES + [structured]
            ),
        }
        # Records enter the log in the order of SAPA_IN: once this one has its receipt, every copy
        # before it has been seen.
        await quarantine(sapa, notices)
        await timeline(sapa, recorded)
        await relayed(sapa, {it["id"]: it for it in (contacted, greeted)}, recorded)
    finally:
        await connection.close()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: publish.py HTTP_URL NATS_URL KEY_FILE TOKEN_FILE")
    http, nats_url, key_file, token_file = sys.argv[1:]
    try:
        asyncio.run(run(http, nats_url, read(key_file), read(token_file)))
    except Exception as error:  # Whatever it is, it is the first difference.
        kind = "" if isinstance(error, Difference) else f"{type(error).__name__}: "
        print(f"publish.py: {kind}{error}", file=sys.stderr)
        print(f"publish.py (nats-py {nats.aio.client.__version__}): {passed} passed, 1 failed")
        sys.exit(1)
    print(f"publish.py (nats-py {nats.aio.client.__version__}): {passed} passed, 0 failed")


main()
