"""UmaDB under the load and the torture that Sapa gets: python3 run.py MEASURE ANYTHING [AMOUNT]

MEASURE is p1, t1 or t2; one line of JSON comes out. UmaDB has an engine of its own, so the address of
the database is not used: its server is started on a temporary folder, as its package ships it, and
ends with this program. It writes every append to the disk before it answers, as its server always does.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from importlib.metadata import version
from pathlib import Path

PACKAGES = Path(__file__).parent / "packages"
sys.path.insert(0, str(PACKAGES))
import umadb  # noqa: E402

CALLERS = 64
WRITERS = 16
CUSTOMERS = 10_000
# Of so many appends of T1 one is refused by its condition.
REFUSED_EVERY = 10
START_SECONDS_MAX = 30
SILENCE_SECONDS = 5


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def start(folder):
    """The server, once it answers, and its address."""
    port = free_port()
    code = "import sys, umadb; umadb.run_server_from_args(sys.argv)"
    words = ["--listen", f"127.0.0.1:{port}", "--db-path", os.path.join(folder, "uma.db")]
    told = dict(os.environ, PYTHONPATH=str(PACKAGES))
    server = subprocess.Popen(
        [sys.executable, "-c", code, *words], env=told, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return server, f"http://127.0.0.1:{port}"
        except OSError:
            if server.poll() is not None or deadline < time.monotonic():
                server.kill()
                raise SystemExit("the UmaDB server did not start") from None
            time.sleep(0.05)


def event(n):
    bare = json.dumps({"visibility": "team", "text": "", "n": n}, separators=(",", ":"))
    text = "x" * (400 - len(bare))
    data = json.dumps({"visibility": "team", "text": text, "n": n}, separators=(",", ":"))
    tags = [f"customer:{n % CUSTOMERS}"]
    return umadb.Event(event_type="Noted", data=data.encode(), tags=tags, uuid=uuid.UUID(int=n + 1))


def callers(url, many, count, work):
    """`work(client, n)` for every number, from so many threads with a connection each."""
    numbers = iter(range(count))
    taking = threading.Lock()
    failures = []

    def caller():
        client = umadb.Client(url)
        try:
            while True:
                with taking:
                    n = next(numbers, None)
                if n is None:
                    return
                work(client, n)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=caller) for _ in range(many)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    if failures:
        raise failures[0]


def p1(url, count):
    made = [event(n) for n in range(count)]
    began = time.monotonic()
    callers(url, CALLERS, count, lambda client, n: client.append([made[n]]))
    took = time.monotonic() - began
    note = "own engine and server, 64 threads of the Python client, no condition"
    return {"events": count, "per_second": count / took}, note


def t1(url, count):
    acknowledged, delivered, took = {}, [], []

    # Kept: a client that is forgotten ends what it subscribed to.
    reader = umadb.Client(url)

    def follow():
        try:
            for it in reader.subscribe():
                delivered.append((it.event.uuid.int - 1, it.position, time.monotonic()))
        except Exception as error:  # noqa: BLE001
            # The server ends before this thread does.
            print(f"the subscription ended: {error}", file=sys.stderr)

    threading.Thread(target=follow, daemon=True).start()

    def write(client, n):
        began = time.monotonic()
        if n % REFUSED_EVERY == REFUSED_EVERY - 1:
            # Refused: something is there already.
            try:
                client.append([event(n)], umadb.AppendCondition(umadb.Query()))
            except umadb.IntegrityError:
                return
        else:
            client.append([event(n)])
        acknowledged[n] = time.monotonic()
        took.append(acknowledged[n] - began)

    umadb.Client(url).append([event(count)])
    acknowledged[count] = time.monotonic()
    callers(url, WRITERS, count, write)
    last, seen = time.monotonic(), -1
    while len(delivered) < len(acknowledged) and time.monotonic() - last < SILENCE_SECONDS:
        if len(delivered) != seen:
            last, seen = time.monotonic(), len(delivered)
        time.sleep(0.05)
    times, inversions, highest, stall = {}, 0, 0, 0.0
    for n, position, at in delivered:
        times[n] = times.get(n, 0) + 1
        inversions += position <= highest
        highest = max(highest, position)
        if n in acknowledged:
            stall = max(stall, at - acknowledged[n])
    figures = {
        "events": len(acknowledged),
        "never_delivered": sum(n not in times for n in acknowledged)
        + sum(n not in acknowledged for n in times),
        "delivered_twice": sum(1 < it for it in times.values()),
        "inversions": inversions,
        "stall_ms": stall * 1e3,
        "append_ms": max(took) * 1e3,
    }
    return figures, "subscribe(); it has no transactions of its callers, so none is delayed or idle; one in ten is refused"


def t2(url, count):
    receipts = [[] for _ in range(3 * count)]

    def again(client, n):
        own = f"customer:once-{n}"
        there = umadb.Event(
            event_type="Noted", data=event(n).data, tags=[own], uuid=uuid.UUID(int=n + 1)
        )
        boundary = umadb.Query([umadb.QueryItem(types=["Noted"], tags=[own])])
        try:
            receipts[n].append(client.append([there], umadb.AppendCondition(boundary)))
        except umadb.IntegrityError:
            receipts[n].append(None)

    def thrice(client, n):
        for _ in range(3):
            again(client, n)

    def together(client, n):
        clients = [umadb.Client(url) for _ in range(3)]
        threads = [threading.Thread(target=again, args=(it, count + n)) for it in clients]
        for it in threads:
            it.start()
        for it in threads:
            it.join()

    callers(url, WRITERS, count, lambda client, n: again(client, 2 * count + n))
    callers(url, WRITERS, count, thrice)
    callers(url, WRITERS, count, together)
    for _ in range(2):
        callers(url, WRITERS, count, lambda client, n: again(client, 2 * count + n))
    other = 0
    for own in receipts:
        first = next((it for it in own if it is not None), None)
        other += sum(it is None or it != first for it in own)
    reader = umadb.Client(url)
    stored = sum(1 for _ in reader.read())
    figures = {
        "events": 3 * count,
        "stored_twice": max(0, stored - 3 * count),
        "other_receipt": other,
    }
    return figures, "the same event UUID with the append condition of the first attempt"


def main():
    measures = {"p1": p1, "t1": t1, "t2": t2}
    if len(sys.argv) < 3 or sys.argv[1] not in measures:
        sys.exit("python3 run.py p1|t1|t2 ANYTHING [AMOUNT]")
    count = int(sys.argv[3]) if 3 < len(sys.argv) else 1_000
    with tempfile.TemporaryDirectory() as folder:
        server, url = start(folder)
        try:
            figures, note = measures[sys.argv[1]](url, count)
        finally:
            server.terminate()
            server.wait()
    line = {"peer": "UmaDB", "version": version("umadb"), "measure": sys.argv[1]}
    print(json.dumps(line | figures | {"note": note}), flush=True)
    # The subscription of T1 waits in a thread that nothing interrupts.
    os._exit(0)


main()
