"""table.py: measuring whole processes, and the table that the benchmarks print."""
# SPDX-License-Identifier: MIT
import os
import statistics
import subprocess
import tempfile
import time

TIME = "/usr/bin/time"


def measure(command, **how):
    """Wall and CPU (user + system, children included) as wait4 reports them."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **how)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "out": output.decode()}


def measure_all(command, **how):
    """As measure(), and the peak resident memory in MB of the largest process: time(1) tells, because what wait4
    says includes this script's own size."""
    with tempfile.NamedTemporaryFile("r") as file:
        result = measure([TIME, "-o", file.name, "-f", "%M", *command], **how)
        return result | {"rss": int(file.read().split()[-1]) / 1024}


def peak(command):
    timed = subprocess.run([TIME, "-f", "%M", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, check=True)
    return int(timed.stderr.split()[-1]) / 1024


def median(runs):
    """The run of medians: each number by itself; the output is the last one's."""
    keys = [key for key, value in runs[0].items() if isinstance(value, (int, float))]
    return runs[-1] | {key: statistics.median(run[key] for run in runs) for key in keys}


rows = []


def row(name, ours, peers=(), goal="", ok=None, extra=""):
    """peers: (name, run) each; the ratio is to the first."""
    rows.append((name, ours, list(peers), goal, ok, extra))


def number(value):
    return f"{value * 1000:8.1f} ms" if value < 1 else f"{value:8.2f} s "


def line(name, who, run, rest=""):
    print(f"{name:34} {who:12} {number(run['wall']):>11} {number(run['cpu']):>11} {run['rss']:6.1f} MB{rest}")


def show():
    print(f"{'what':34} {'who':12} {'wall':>11} {'cpu':>11} {'peak':>9}  {'ratio':>6}  goal")
    for name, ours, peers, goal, ok, extra in rows:
        ratio = f"{ours['wall'] / peers[0][1]['wall']:6.2f}" if peers else " " * 6
        verdict = "" if ok is None else ("  met" if ok else "  MISSED")
        line(name, "ctz", ours, f"  {ratio}  {goal}{verdict} {extra}".rstrip())
        for peer_name, peer in peers:
            line("", peer_name, peer)


def all_met():
    return all(ok is not False for _, _, _, _, ok, _ in rows)
