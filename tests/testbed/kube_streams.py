#!/usr/bin/env python3
# kube_streams.py FOLDER: a small API server whose pods run no program but play one, as their name says: exec,
# attach, port-forward over WebSocket, and logs, well and badly. Its port stands in FOLDER/ports.lua once it listens;
# it ends when its stdin does.
# SPDX-License-Identifier: MIT
import asyncio
import base64
import hashlib
import json
import os
import struct
import sys
from urllib.parse import parse_qs, urlsplit

FOLDER = sys.argv[1]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
SUCCESS = {"metadata": {}, "status": "Success"}


def failure(code):
    return {
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": f"command terminated with {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def frame(opcode, data, final=True):
    head = bytes([(0x80 if final else 0) | opcode])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    if len(data) < 65536:
        return head + b"\x7e" + struct.pack(">H", len(data)) + data
    return head + b"\x7f" + struct.pack(">Q", len(data)) + data


class Socket:
    def __init__(self, reader, writer, query):
        self.reader, self.writer, self.query = reader, writer, query
        self.pongs = 0

    async def raw(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, channel, data):
        await self.raw(frame(BINARY, bytes([channel]) + data))

    async def receive(self):
        """(channel, bytes) of the next message; None at the close frame."""
        while True:
            first, second = await self.reader.readexactly(2)
            assert second & 0x80, "a client masks"
            size = second & 0x7F
            if size == 126:
                size = struct.unpack(">H", await self.reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", await self.reader.readexactly(8))[0]
            mask = await self.reader.readexactly(4)
            data = await self.reader.readexactly(size)
            repeated = mask * (size // 4 + 1)
            data = (int.from_bytes(data, "big") ^ int.from_bytes(repeated[:size], "big")).to_bytes(size, "big")
            if first & 15 == CLOSE:
                return None
            if first & 15 == PONG:
                self.pongs += 1
            elif first & 15 == PING:
                await self.raw(frame(PONG, data))
            else:
                return data[0], data[1:]

    async def end(self, status, code=1000):
        if status is not None:
            await self.send(3, json.dumps(status).encode())
        await self.raw(frame(CLOSE, struct.pack(">H", code)))
        try:
            while await self.receive() is not None:
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


async def play_echo(ws):
    await ws.send(1, b"")  # as servers greet
    while True:
        message = await ws.receive()
        if message is None or message == (255, b"\0"):
            break
        if message[0] == 4:
            await ws.send(2, message[1])
        elif message[0] == 0:
            await ws.send(1, message[1])
    await ws.end(SUCCESS)


async def play_code(ws):
    await ws.raw(frame(BINARY, b"\x01one ", final=False) + frame(PING, b"are you there") + frame(0, b"two\n"))
    await ws.send(2, b"no\n")
    await ws.end(failure(7))


async def play_slices(ws):
    data = b"".join([frame(BINARY, b"\x01" + b"x" * 300 + b"\n"), frame(BINARY, b"\x02err\n"),
                     frame(BINARY, b"\x03" + json.dumps(failure(3)).encode()), frame(CLOSE, b"\x03\xe8")])
    for i in range(len(data)):
        await ws.raw(data[i:i + 1])
        await asyncio.sleep(0)


async def play_words(ws):
    await ws.send(1, json.dumps(ws.query).encode())
    await ws.end(SUCCESS)


async def play_missing(ws):
    await ws.end({"status": "Failure", "code": 500, "reason": "InternalError", "message":
                  'exec: "none": executable file not found in $PATH: unknown'})


async def play_drop(ws):
    await ws.send(1, b"some")


async def play_late(ws):
    await ws.send(1, b"some")
    await ws.send(3, json.dumps(failure(9)).encode())  # and only ends the connection


async def play_flood(ws):
    line = b"0123456789abcdef" * 64
    for _ in range(4096):
        await ws.send(1, line)
    await ws.end(SUCCESS)


async def play_pings(ws):
    for _ in range(20000):
        ws.writer.write(frame(PING, b"p"))
    await ws.writer.drain()
    reading = asyncio.ensure_future(ws.receive())
    while ws.pongs < 20000:
        await asyncio.sleep(0.01)
    await ws.send(1, str(ws.pongs).encode())
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await ws.end(SUCCESS)


async def play_forward(ws):
    """Port-forward: the port on both channels, then what comes, in capitals, until "bye"."""
    port = struct.pack("<H", int(ws.query["ports"][0]))
    await ws.send(0, port)
    await ws.send(1, port)
    if port == struct.pack("<H", 99):
        await ws.send(1, b"nobody listens there")
        return
    while True:
        message = await ws.receive()
        if message is None:
            return
        await ws.send(0, message[1].upper())
        if b"bye" in message[1]:
            await ws.raw(frame(CLOSE, b"\x03\xe8"))
            return


def answer(status, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data


def pod_of(name):
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "main"}, {"name": "side"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def forbid(name):
    return answer(403, {"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
                        "message": f'pods "{name}" is forbidden: User "u" cannot create resource "pods/exec"'})


async def upgrade(reader, writer, name, action, query, headers):
    offered = [text.strip() for text in headers.get("sec-websocket-protocol", "").split(",")]
    if name == "forbidden":
        writer.write(forbid(name))
        return
    if name == "spdy" or "websocket" != headers.get("upgrade", "").lower():
        writer.write(answer(400, b"Upgrade request required", "text/plain"))
        return
    chosen = "v4.channel.k8s.io" if name == "old" or action == "portforward" else offered[0]
    if name == "other":
        chosen = "v1.channel.k8s.io"
    digest = hashlib.sha1((headers["sec-websocket-key"] + GUID).encode()).digest()
    accept = base64.b64encode(b"x" * 20 if name == "liar" else digest).decode()
    head = (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n").encode()
    ws = Socket(reader, writer, query)
    if name == "together":  # data in the packet of the 101
        await ws.raw(head + frame(BINARY, b"\x01at once") + frame(BINARY, b"\x03" + json.dumps(SUCCESS).encode())
                     + frame(CLOSE, b"\x03\xe8"))
        return
    await ws.raw(head)
    play = play_forward if action == "portforward" else globals().get("play_" + name.split("-")[0], play_echo)
    await play(ws)


async def serve(reader, writer):
    try:
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            url = urlsplit(lines[0].split(" ")[1])
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            parts = url.path.strip("/").split("/")  # api v1 namespaces NS pods NAME [ACTION]
            name, action = (parts + [""] * 7)[5:7]
            if action in ("exec", "attach", "portforward"):
                await upgrade(reader, writer, name, action, parse_qs(url.query), headers)
                await writer.drain()
                break
            if name == "none":
                writer.write(answer(404, {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
                                          "message": 'pods "none" not found'}))
            else:
                writer.write(answer(200, pod_of(name)))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with open(os.path.join(FOLDER, "ports.new"), "w") as file:
        file.write("return { api = %d }\n" % port)
    os.rename(os.path.join(FOLDER, "ports.new"), os.path.join(FOLDER, "ports.lua"))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    os._exit(0)


asyncio.run(main())
