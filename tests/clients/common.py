"""What the checks of this folder share: counting what is as promised, asking over HTTP, ports."""

import http.client
import json
import socket
import sys
import time
import urllib.parse
import uuid
from datetime import datetime, timedelta, timezone

JAKARTA = timezone(timedelta(hours=7))
ANSWER_SECONDS = 10

_passed = 0


class Difference(Exception):
    """What was found is not what is promised."""


def check(what, wanted, found, shown=""):
    """Counts one thing that is as promised, or stops with what was found instead."""
    global _passed
    if wanted != found:
        more = f"\n  in: {shown}" if shown else ""
        raise Difference(f"{what}\n  wanted: {wanted!r}\n  found:  {found!r}{more}")
    _passed += 1


def now():
    return datetime.now(JAKARTA)


def attributes(action, customer, source):
    """The attributes of one fact about a customer, with an id of its own."""
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": f"sapa.interaction.{action}.v1",
        "subject": customer,
        "time": now().isoformat(),
        "actor": "staff/rudi",
        "actorkind": "staff",
        "channel": "phone",
    }


CONTACTED = {"purpose": "courtesy", "outcome": "reached"}


class Http:
    """One server, asked with a key."""

    def __init__(self, url, key_file):
        self.address = urllib.parse.urlsplit(url).netloc
        with open(key_file, encoding="utf-8") as file:
            self.key = file.read().strip()

    def ask(self, method, path, body=None, headers=None):
        """Status and JSON of an answer, whatever the status is."""
        sent = {"Authorization": f"Bearer {self.key}"} | (headers or {})
        connection = http.client.HTTPConnection(self.address, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def receipt(self, event, wait="5s"):
        """What became of an event."""
        question = {"source": event["source"], "id": event["id"], "wait": wait}
        return self.ask("GET", f"/v1/receipts?{urllib.parse.urlencode(question)}")


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def wait_until(what, is_true, seconds=20):
    """Looks again and again until something is so."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if deadline < time.monotonic():
            raise Difference(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def main(name, run):
    """Runs everything and says how it went, in one line at the end."""
    try:
        run()
    except Exception as error:  # Whatever it is, it is the first difference.
        kind = "" if isinstance(error, Difference) else f"{type(error).__name__}: "
        print(f"{name}: {kind}{error}", file=sys.stderr)
        print(f"{name}: {_passed} passed, 1 failed")
        sys.exit(1)
    print(f"{name}: {_passed} passed, 0 failed")
