"""An MQTT client publishes to Sapa through the gateway of nats-server, and hears what was recorded.

  mqtt.py SAPA NATS_SERVER                            (started by `run`)

Starts a nats-server of its own with `mqtt` switched on, makes its streams with `sapa setup`, starts
`sapa serve` on it, and ends both. A topic with slashes is the subject with dots; neither a slash in
front nor one at the end is part of it. PUBACK says that the broker has the message, no more: whether
it was recorded, the receipt says.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import version

import paho.mqtt.client as mqtt

from common import CONTACTED, Http, attributes, check, free_port, listens, main, wait_until

TOPIC = "sapa/v1/main/in/interaction/contacted"
SOURCE = "/clients/mqtt"
CONFIGURATION = """
server_name: mqtt-test
listen: "127.0.0.1:{nats}"
http: "127.0.0.1:{monitor}"
max_payload: 1048576
jetstream {{ store_dir: "{folder}/nats", sync_interval: always, max_file_store: 40GB }}
mqtt {{ listen: "127.0.0.1:{mqtt}" }}
"""


class Servers:
    """A broker with MQTT and a Sapa on it; both end with the block."""

    def __init__(self, sapa, nats_server, folder):
        self.sapa, self.nats_server, self.folder = sapa, nats_server, folder
        self.nats, self.monitor, self.mqtt, self.http = (free_port() for _ in range(4))
        self.started = []

    def environment(self):
        kept = {name: it for name, it in os.environ.items() if not name.startswith(("SAPA", "NATS", "DATABASE"))}
        return kept | {
            "HOME": self.folder,
            "XDG_CONFIG_HOME": self.folder,
            "SAPA_DATA_DIR": f"{self.folder}/data",
            "SAPA_HTTP__ADDR": f"127.0.0.1:{self.http}",
            "SAPA_NATS__MODE": "external",
            "SAPA_NATS__URL": f"nats://127.0.0.1:{self.nats}",
            "SAPA_NATS__MONITOR_URL": f"http://127.0.0.1:{self.monitor}",
        }

    def start(self, command, log, **more):
        with open(f"{self.folder}/{log}", "w", encoding="utf-8") as file:
            self.started.append(subprocess.Popen(command, stdout=file, stderr=file, cwd=self.folder, **more))

    def __enter__(self):
        with open(f"{self.folder}/nats.conf", "w", encoding="utf-8") as file:
            ports = {"nats": self.nats, "monitor": self.monitor, "mqtt": self.mqtt}
            file.write(CONFIGURATION.format(folder=self.folder, **ports))
        self.start([self.nats_server, "-c", f"{self.folder}/nats.conf"], "nats.log")
        wait_until("nats-server listens for MQTT", lambda: listens(self.nats) and listens(self.mqtt))
        made = subprocess.run([self.sapa, "setup"], env=self.environment(), cwd=self.folder, capture_output=True, text=True, check=False)
        check("sapa setup makes the streams", 0, made.returncode, made.stdout + made.stderr)
        self.start([self.sapa, "serve"], "serve.log", env=self.environment())
        wait_until("sapa serve listens", lambda: listens(self.http), 60)
        return self

    def __exit__(self, *_):
        for it in reversed(self.started):
            it.terminate()
        for it in reversed(self.started):
            try:
                it.wait(timeout=10)
            except subprocess.TimeoutExpired:
                it.kill()


class Heard:
    """What came on the topics of recorded facts."""

    def __init__(self):
        self.events, self.subscribed = {}, threading.Event()

    def take(self, _client, _data, message):
        self.events[json.loads(message.payload)["id"]] = message.topic


def event():
    return attributes("contacted", "c-mqtt", SOURCE) | {"data": CONTACTED}


def send(client, topic, it, qos):
    sent = client.publish(topic, json.dumps(it), qos=qos)
    sent.wait_for_publish(timeout=10)
    check(f"the broker took it (QoS {qos})", True, sent.is_published(), topic)


def exchange(servers, client, heard):
    http = Http(f"http://127.0.0.1:{servers.http}", f"{servers.folder}/data/admin.key")
    events = [event(), event()]
    for qos, it in enumerate(events):
        send(client, TOPIC, it, qos)
        status, receipt = http.receipt(it)
        check(f"QoS {qos} is recorded", (200, "recorded"), (status, receipt.get("outcome")), receipt)
    send(client, TOPIC, events[1], 1)
    wrong = event() | {"data": {"purpose": "gossip", "outcome": "reached"}}
    send(client, TOPIC, wrong, 1)
    _, receipt = http.receipt(wrong)
    told = (receipt.get("outcome"), receipt.get("code"))
    check("what is malformed is kept apart, though the broker took it", ("quarantined", "schema_invalid"), told, receipt)
    for topic in (f"/{TOPIC}", f"{TOPIC}/"):
        stray = event()
        send(client, topic, stray, 1)
        status, _ = http.receipt(stray, "500ms")
        check("a slash in front or at the end is another subject, which nobody reads", 404, status, topic)
    wait_until("recorded facts are heard over MQTT", lambda: len(heard.events) >= 2)
    topics = {it["id"]: "sapa/v1/main/out/interaction/contacted/c-mqtt" for it in events}
    check("each on the topic of its subject", topics, heard.events)


def run():
    with tempfile.TemporaryDirectory(prefix="sapa-mqtt.") as folder, Servers(*sys.argv[1:3], folder) as servers:
        heard = Heard()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sapa-clients")
        client.on_message = heard.take
        client.on_subscribe = lambda *_: heard.subscribed.set()
        client.connect("127.0.0.1", servers.mqtt)
        client.loop_start()
        try:
            client.subscribe("sapa/v1/main/out/#", qos=0)
            check("the subscription stands", True, heard.subscribed.wait(10))
            exchange(servers, client, heard)
        finally:
            client.disconnect()
            client.loop_stop()


main(f"mqtt.py (paho-mqtt {version('paho-mqtt')})", run)
