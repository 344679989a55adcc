"""sink.py SOCKET: takes uploads and forgets them; enough of an engine to be sent a build's context.

Prints "ready", then for each upload (PUT, or POST .../build) one line of JSON: bytes as they came over the socket, and
when the request, its body's first byte and its last one came, by the monotonic clock of the machine.
"""
# SPDX-License-Identifier: MIT
import json
import re
import socket
import sys
import threading
import time

BUFFER = 1 << 20
ID = "sha256:" + 32 * "ab"
BUILT = json.dumps({"aux": {"ID": ID}}).encode() + b"\r\n"
IMAGE = json.dumps({"Id": ID, "Size": 1, "RepoTags": [], "RootFS": {"Type": "layers", "Layers": []}}).encode()


def answer(client, body, headers=b"", status=b"200 OK"):
    client.sendall(b"HTTP/1.1 " + status + b"\r\nApi-Version: 1.41\r\nOstype: linux\r\nContent-Type: application/json\r\n" +
                   headers + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def take(client, head, rest):
    """Reads a body to its end: a length, or chunks, whose end is seen in the last bytes."""
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head)
    size, tail, buffer = len(rest), bytes(rest[-5:]), memoryview(bytearray(BUFFER))
    first = time.monotonic() if rest else None
    while (chunked and tail != b"0\r\n\r\n") or (length and size < int(length[1])):
        got = client.recv_into(buffer)
        if got == 0:
            break
        first = first or time.monotonic()
        size += got
        tail = (tail + bytes(buffer[max(0, got - 5):got]))[-5:]
    return size, first


def request(client, data):
    """One request; returns what came behind its head when it has no body."""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return None
        data += more
    begun = time.monotonic()
    head, _, rest = data.partition(b"\r\n\r\n")
    if re.search(rb"(?i)\r\nexpect: *100-continue", head):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not re.match(rb"PUT |POST \S+/build", head):
        answer(client, b"OK" if b"_ping" in head else IMAGE)
        return rest
    size, first = take(client, head, rest)
    print(json.dumps({"bytes": size, "begun": begun, "first": first, "last": time.monotonic()}), flush=True)
    answer(client, BUILT)
    return b""


def serve(client):
    data = b""
    while data is not None:
        data = request(client, data)
    client.close()


def main():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(16)
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
