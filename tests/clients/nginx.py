"""nginx in front of a running Sapa: host names, bodies, and a live stream.

  nginx.py HTTP_URL NATS_URL KEY_FILE TOKEN_FILE      (started by `run`, whose server answers for
                                                       the host sapa.example as well)

Starts nginx on a free port with a configuration of its own, without rights it does not need, and
ends it. The configuration is the one to copy: HTTP/1.1 upstream, the caller's host, room for a batch,
and no time limit for streams.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from common import CONTACTED, Difference, Http, attributes, check, free_port, listens, main, wait_until

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 5m;          # a batch has at most 4 MiB
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;         # live streams need it
      proxy_set_header Connection "";
      proxy_set_header Host $host;    # name it in http.allowed_hosts
    }}
    location = /v1/stream {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_read_timeout 1h;          # Sapa says something every 15 s
    }}
  }}
}}
"""
NOBODY = 65534
SOURCE = "/clients/nginx"


def start(upstream, folder, port):
    """nginx as a user who owns nothing but its folder."""
    with open(f"{folder}/nginx.conf", "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(folder=folder, port=port, upstream=upstream))
    user = {}
    if os.getuid() == 0:
        shutil.chown(folder, NOBODY, NOBODY)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    command = ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    return subprocess.Popen(command, **user)


def hosts(proxied):
    status, _ = proxied.ask("GET", "/v1/keys", headers={"Host": "sapa.example"})
    check("a host that is listed is answered", 200, status)
    status, problem = proxied.ask("GET", "/v1/keys", headers={"Host": "evil.example"})
    check("another host is refused", (421, "host_not_allowed"), (status, problem.get("code")), problem)


def bodies(proxied):
    text = "x" * 3_500
    events = [attributes("contacted", "c-nginx", SOURCE) | {"data": CONTACTED | {"text": text}} for _ in range(512)]
    body = json.dumps(events).encode()
    check("the batch is larger than nginx takes by itself", True, len(body) > 1_048_576)
    headers = {"Content-Type": "application/cloudevents-batch+json", "Host": "sapa.example"}
    status, answer = proxied.ask("POST", "/v1/events", body, headers)
    check("a batch of 2 MB goes through", (201, 512), (status, answer.get("recorded")), str(answer)[:500])


def live(proxied, port):
    """An event is heard while the stream is open: nothing on the way waits for more."""
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": f"Bearer {proxied.key}", "Accept": "text/event-stream", "Host": "sapa.example"}
    stream.request("GET", "/v1/stream?customer=c-nginx-live", headers=headers)
    answer = stream.getresponse()
    check("the stream opens", (200, "text/event-stream"), (answer.status, answer.headers.get_content_type()))
    event = attributes("contacted", "c-nginx-live", SOURCE) | {"data": CONTACTED}
    headers = {"Content-Type": "application/cloudevents+json", "Host": "sapa.example"}
    started = time.monotonic()
    status, receipt = proxied.ask("POST", "/v1/events", json.dumps(event).encode(), headers)
    check("an event is recorded meanwhile", 201, status, receipt)
    while True:
        line = answer.readline().decode()
        if not line:
            raise Difference("the stream ended before the event came")
        if event["id"] in line:
            break
    check("it was heard at once", True, time.monotonic() - started < 3)
    stream.close()


def run():
    upstream, key_file = sys.argv[1], sys.argv[3]
    folder, port = tempfile.mkdtemp(prefix="sapa-nginx."), free_port()
    server = start(upstream, folder, port)
    try:
        wait_until("nginx listens", lambda: listens(port) or server.poll() is not None)
        if server.poll() is not None:
            with open(f"{folder}/error.log", encoding="utf-8") as file:
                raise Difference(f"nginx ended: {file.read()[-2000:]}")
        proxied = Http(f"http://127.0.0.1:{port}", key_file)
        hosts(proxied)
        bodies(proxied)
        live(proxied, port)
    finally:
        server.terminate()
        server.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


found = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
main(f"nginx.py ({found.strip().split()[-1]})", run)
