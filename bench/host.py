#!/usr/bin/env python3
"""host.py CTZ: measures the host beside its peers, in turn, and prints one table.

Every figure is of whole processes: wall and CPU (user + system, children included) as wait4 reports them, medians of
the runs; peak resident memory of the largest process from one run of its own under time(1), because what wait4 says
includes this script's own size. A goal is a ratio to the peer or a bound of its own.
"""
# SPDX-License-Identifier: MIT
import json
import os
import shutil
import sys
import tempfile

from table import measure, median, peak, row, show

HERE = os.path.dirname(os.path.abspath(__file__))
CTZ = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(HERE, "../build/release/bin/ctz")


def once(command):
    return measure(command) | {"rss": peak(command)}


def medians(command, runs):
    return median(runs) | {"rss": peak(command)}


def pair(ours, peer, runs):
    """Ours and the peer's in turn, so that a drifting machine slows both."""
    measure(ours)
    measure(peer)
    both = [(measure(ours), measure(peer)) for _ in range(runs)]
    return medians(ours, [a for a, _ in both]), medians(peer, [b for _, b in both])


def run(*words):
    return [CTZ, "run", "--progress", "none", *words]


def start_up(folder):
    empty = os.path.join(folder, "empty.lua")
    open(empty, "w").close()
    ours, peer = pair(run(empty), ["lua5.4", "-e", ""], 60)
    good = ours["wall"] <= 2 * peer["wall"] and ours["rss"] <= 8
    row("start: an empty recipe", ours, [("lua5.4", peer)], "<= 2.0 x, <= 8 MB", good)


def tasks():
    recipe = os.path.join(HERE, "tasks.lua")
    ours = once(run(recipe, "sleep"))
    each = float(ours["out"]) - float(measure(run(recipe, "coroutines"))["out"])
    row("100,000 tasks that sleep once", ours, goal="< 2 s, <= 1536 B each", ok=ours["wall"] < 2 and each <= 1536,
        extra=f"{each:.0f} B each beyond a coroutine")
    ours = once(run(recipe, "wake"))
    rate = float(ours["out"])
    row("wake-ups through ctz.channel", ours, goal=">= 3 M per CPU second", ok=rate >= 3e6, extra=f"{rate / 1e6:.2f} M")


def processes():
    recipe = os.path.join(HERE, "process.lua")
    if os.path.exists(recipe):
        ours, peer = pair(run(recipe), ["sh", "-c", "seq 1000 | xargs -P32 -n1 true"], 5)
        row("1,000 programs, 32 at once", ours, [("xargs -P32", peer)], "<= 1.15 x", ours["wall"] <= 1.15 * peer["wall"])


def json_texts(folder):
    recipe, peer_script = os.path.join(HERE, "json.lua"), os.path.join(HERE, "json_peer.py")
    if os.path.exists(recipe):
        text = os.path.join(folder, "list.json")
        items = [{"Id": f"{i:064x}", "Names": [f"/web-{i}"], "Image": "registry/web:1.2", "Created": 1718000000 + i,
                  "Ports": [{"PrivatePort": 80, "Type": "tcp"}], "Labels": {"app": "web", "tier": "front"},
                  "State": "running", "SizeRw": i * 1.5, "Mounts": [], "Ok": True} for i in range(28000)]
        with open(text, "w") as file:
            json.dump(items, file, separators=(",", ":"))
        size = os.path.getsize(text)
        ours, peer = pair(run(recipe, text), [sys.executable, peer_script, text], 5)
        good = ours["wall"] <= peer["wall"] and ours["rss"] * 1048576 < 9 * size
        row(f"JSON, {size / 1e6:.1f} MB, in and out", ours, [("python3 json", peer)], "<= 1.0 x, < 9 x the text", good,
            f"{ours['rss'] * 1048576 / size:.1f} x the text")


def hashing(folder):
    big = os.path.join(folder, "big")
    with open(big, "wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(1024):
            file.write(block)
    recipe = os.path.join(folder, "hash.lua")
    with open(recipe, "w") as file:
        file.write('local ctz = require "ctz"\nprint(ctz.hash.file((...)))\n')
    ours, peer = pair(run(recipe, big), ["openssl", "dgst", "-sha256", "-r", big], 3)
    if ours["out"].split()[0] != peer["out"].split()[0]:
        raise SystemExit("the digests differ")
    row("SHA-256 of a 1 GB file", ours, [("openssl", peer)], "<= 1.1 x", ours["wall"] <= 1.1 * peer["wall"])


def main():
    folder = tempfile.mkdtemp(prefix="ctz-bench-")
    try:
        start_up(folder)
        tasks()
        processes()
        json_texts(folder)
        hashing(folder)
        show()
    finally:
        shutil.rmtree(folder)


main()
