"""json_peer.py: the peer of json.lua: Python's json module, accelerated in C.

Usage: python3 bench/json_peer.py FILE                   once in and out; prints the size of what it wrote
       python3 bench/json_peer.py rounds FILE [ROUNDS]   one line of JSON: best seconds and peak memory
SPDX-License-Identifier: MIT
"""
import sys

sys.path = [entry for entry in sys.path if not entry.endswith("bench")]  # "json" is the library, not this file
import json  # noqa: E402
import resource  # noqa: E402
import time  # noqa: E402


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rounds(path, count):
    text = read(path)
    best_decode = best_encode = float("inf")
    for _ in range(count):
        start = time.process_time()
        value = json.loads(text)
        middle = time.process_time()
        write(value)
        stop = time.process_time()
        best_decode = min(best_decode, middle - start)
        best_encode = min(best_encode, stop - middle)
    print(json.dumps({
        "decode_seconds": best_decode,
        "encode_seconds": best_encode,
        "text_bytes": len(text.encode()),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if sys.argv[1] == "rounds":
    rounds(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)
else:
    print(len(write(json.loads(read(sys.argv[1])))))
