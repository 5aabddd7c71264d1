#!/usr/bin/env bash
# An event that the CloudEvents SDK for JavaScript reads and writes again is another event: its `time`
# comes back cut to milliseconds, although CloudEvents allows any number of digits (RFC 3339).
#
#   findings/cloudevents_js_cuts_time.sh
#
# Installs the SDK in one exact version into a temporary folder, takes one structured event through
# HTTP.toEvent and HTTP.structured, and prints both times. Exit 0: as described; 1: it behaves otherwise
# now; 69: npm or node is missing, or the package cannot be installed.
set -euo pipefail

readonly version=10.0.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "$tool is not on PATH; install Node.js 20 or later" >&2; exit 69; }
done
cd "$folder"
npm install --no-package-lock --no-audit --no-fund --ignore-scripts --silent "cloudevents@$version" ||
  { echo "npm could not install cloudevents@$version" >&2; exit 69; }

cat >check.mjs <<'JS'
import { HTTP } from "cloudevents";

const time = "2026-11-30T10:00:00.123456Z";
const sent = { specversion: "1.0", id: "1", source: "/a", type: "com.example.happened", time, data: {} };
const headers = { "content-type": "application/cloudevents+json" };
const back = JSON.parse(HTTP.structured(HTTP.toEvent({ headers, body: JSON.stringify(sent) })).body);
console.log(`sent: ${time}`);
console.log(`back: ${back.time}`);
process.exitCode = back.time === "2026-11-30T10:00:00.123Z" ? 0 : 1;
JS
echo "cloudevents $version on node $(node --version)"
node check.mjs && echo "the time lost its last digits"
