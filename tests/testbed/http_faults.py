#!/usr/bin/env python3
# http_faults.py FOLDER: an HTTP server that answers well, badly, slowly or not at all, byte by byte as
# the path of the request says. Its ports stand in FOLDER/ports.lua once it listens; it ends when its
# stdin does. With certificates in FOLDER (NAME.pem: key and certificate) it listens on TLS too.
# SPDX-License-Identifier: MIT
import asyncio
import base64
import gzip
import hashlib
import os
import socket
import ssl
import struct
import sys
import threading
import zlib

FOLDER = sys.argv[1]
connections = {}  # name of the server -> connections accepted so far
requests = {}  # path -> how often it was asked for
open_now = {}  # name of the server -> connections open now


def reset(writer):
    """Ends the connection by RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Request:
    def __init__(self, method, target, lines):
        self.method, self.target, self.lines = method, target, lines
        self.path, _, self.query = target.partition("?")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), value.strip())
        self.body = b""


async def read_head(reader):
    first = (await reader.readline()).decode("latin-1").strip()
    if not first:
        return None
    lines = []
    while True:
        line = (await reader.readline()).decode("latin-1").rstrip("\r\n")
        if not line:
            break
        lines.append(line)
    method, target, _ = first.split(" ", 2)
    return Request(method, target, lines)


async def read_body(reader, request):
    if "chunked" in request.headers.get("transfer-encoding", ""):
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            chunk = await reader.readexactly(size + 2)
            request.body += chunk[:-2]
            if size == 0:
                return
    length = int(request.headers.get("content-length", 0))
    if length:
        request.body = await reader.readexactly(length)


def answer(body, status="200 OK", headers=()):
    if isinstance(body, str):
        body = body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def gzip_of_zeros(size):
    """The beginning of a gzip of `size` zeros: one block again and again, no trailer."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * ((size >> 20) - 1)


class Server:
    def __init__(self, name, tls=None):
        self.name, self.tls, self.port = name, tls, 0
        connections[name] = 0

    async def listen(self):
        context = None
        if self.tls:
            context = self.tls
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context, limit=1 << 22)
        self.port = server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        connections[self.name] += 1
        number = connections[self.name]
        open_now[self.name] = open_now.get(self.name, 0) + 1
        try:
            while True:
                request = await read_head(reader)
                if request is None:
                    break
                requests[request.path] = requests.get(request.path, 0) + 1
                goes_on = await self.route(request, reader, writer, number)
                await writer.drain()
                if not goes_on:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ValueError, ssl.SSLError):
            pass
        finally:
            open_now[self.name] -= 1
            try:
                writer.close()
                await writer.wait_closed()
            except Exception:
                pass

    async def route(self, request, reader, writer, number):
        """Answers; returns whether the connection goes on."""
        parts = request.path.strip("/").split("/")
        handler = getattr(self, "do_" + parts[0].replace("-", "_"), None)
        if handler is None:
            await read_body(reader, request)
            writer.write(answer("no such path", "404 Not Found"))
            return True
        return await handler(request, reader, writer, number, parts[1:]) is not False

    # --- good answers ------------------------------------------------------------------------------

    async def do_hello(self, request, reader, writer, number, parts):
        await read_body(reader, request)
        body = b"" if request.method == "HEAD" else b"hello"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n"
            + f"X-Connection: {number}\r\nX-Twice: a\r\nX-Twice: b\r\n".encode()
            + b"Set-Cookie: a=1, b\r\nSet-Cookie: c=2\r\n\r\n"
            + body
        )

    async def do_echo(self, request, reader, writer, number, parts):
        """The request as it came, head and body."""
        await read_body(reader, request)
        text = f"{request.method} {request.target}\n" + "\n".join(request.lines) + "\n\n"
        writer.write(answer(text.encode("latin-1") + request.body))

    async def do_digest(self, request, reader, writer, number, parts):
        await read_body(reader, request)
        writer.write(answer(f"{len(request.body)} {hashlib.sha256(request.body).hexdigest()}"))

    async def do_status(self, request, reader, writer, number, parts):
        await read_body(reader, request)
        extra = [f"X-Connection: {number}"]
        if request.query:
            extra.append("Retry-After: " + request.query.replace("_", " "))
        writer.write(answer(f'{{"message":"status {parts[0]}"}}', parts[0] + " Whatever", extra))

    async def do_socks(self, request, reader, writer, number, parts):
        writer.write(answer(" ".join(Socks.asked)))

    async def do_late_error(self, request, reader, writer, number, parts):
        """The head of a 500, its body a moment later."""
        writer.write(f"HTTP/1.1 500 Oops\r\nContent-Length: 10\r\nX-Connection: {number}\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"late words")

    async def do_count(self, request, reader, writer, number, parts):
        """/count/WHAT?SERVER: how often /WHAT was asked for, connections so far, connections open."""
        path = "/" + "/".join(parts)
        name = request.query or self.name
        counts = f"{requests.get(path, 0)} {connections[name]} {open_now.get(name, 0)}"
        writer.write(answer(counts))

    async def do_bytes(self, request, reader, writer, number, parts):
        """N bytes, as fast as they are taken."""
        left = int(parts[0])
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n".encode())
        block = bytes(range(256)) * 256
        while left > 0 and not writer.is_closing():
            writer.write(block[:left])
            left -= len(block)
            await writer.drain()

    async def do_endless(self, request, reader, writer, number, parts):
        """Chunks without end; /count/sent tells how many bytes the kernel took."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        requests["/sent"] = 0
        while not writer.is_closing():
            writer.write(b"8000\r\n" + bytes(0x8000) + b"\r\n")
            await writer.drain()
            requests["/sent"] += 0x8000

    async def do_lines(self, request, reader, writer, number, parts):
        """N lines in chunks of a few bytes, the last one without a line end."""
        text = "\r\n".join(f"line {i}" for i in range(1, int(parts[0]) + 1)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(text), 7):
            piece = text[at : at + 7]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        writer.write(b"0\r\n\r\n")

    async def do_tick(self, request, reader, writer, number, parts):
        """A line every PARTS[0] seconds, for ever."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(1, 1 << 30):
            if writer.is_closing():
                return False
            text = f"tick {i}\n"
            writer.write(f"{len(text):x}\r\n{text}\r\n".encode())
            await writer.drain()
            await asyncio.sleep(float(parts[0]))

    async def do_gzip(self, request, reader, writer, number, parts):
        body = gzip.compress(b"packed text " * 100)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            writer.write(answer("nobody asked for gzip"))
            return
        writer.write(answer(body, headers=["Content-Encoding: gzip"]))

    async def do_bomb(self, request, reader, writer, number, parts):
        writer.write(answer(gzip_of_zeros(int(parts[0])), headers=["Content-Encoding: gzip"]))

    async def do_coded_twice(self, request, reader, writer, number, parts):
        body = gzip.compress(gzip.compress(b"x"))
        writer.write(answer(body, headers=["Content-Encoding: gzip, gzip"]))

    async def do_bad_gzip(self, request, reader, writer, number, parts):
        writer.write(answer(b"this is no gzip", headers=["Content-Encoding: gzip"]))

    # --- redirects ---------------------------------------------------------------------------------

    async def do_redirect(self, request, reader, writer, number, parts):
        """/redirect/STATUS?LOCATION"""
        await read_body(reader, request)
        writer.write(answer("elsewhere", parts[0] + " Elsewhere", ["Location: " + request.query]))

    async def do_loop(self, request, reader, writer, number, parts):
        n = int(parts[0])
        writer.write(answer("", "302 Found", [f"Location: /loop/{n + 1}"]))

    async def do_hops(self, request, reader, writer, number, parts):
        n = int(parts[0])
        if n == 0:
            writer.write(answer("arrived"))
        else:
            writer.write(answer(bytes(1000), "302 Found", [f"Location: /hops/{n - 1}"]))

    # --- malformed answers -------------------------------------------------------------------------

    async def do_raw(self, request, reader, writer, number, parts):
        """The bytes of the query, base64, then the end of the connection."""
        writer.write(base64.urlsafe_b64decode(request.query))
        return False

    async def do_headers(self, request, reader, writer, number, parts):
        """N headers of SIZE bytes each."""
        count, size = int(parts[0]), int(parts[1])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
        for i in range(count):
            writer.write(f"X-{i}: ".encode() + b"v" * size + b"\r\n")
        writer.write(b"\r\n")

    async def do_informed(self, request, reader, writer, number, parts):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * int(parts[0]))
        writer.write(answer("informed"))

    # --- slow and dead -----------------------------------------------------------------------------

    async def do_silent(self, request, reader, writer, number, parts):
        await reader.read(1)  # until the other side leaves
        return False

    async def do_silent_body(self, request, reader, writer, number, parts):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
        await writer.drain()
        await reader.read(1)
        return False

    async def do_drip(self, request, reader, writer, number, parts):
        """N bytes, one every SECONDS."""
        count, seconds = int(parts[0]), float(parts[1])
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n".encode())
        for _ in range(count):
            await writer.drain()
            await asyncio.sleep(seconds)
            writer.write(b".")

    async def do_sleep(self, request, reader, writer, number, parts):
        await asyncio.sleep(float(parts[0]))
        writer.write(answer("slept"))

    async def do_reset(self, request, reader, writer, number, parts):
        """RST after PERCENT of an answer of 1000 bytes."""
        await read_body(reader, request)
        text = answer(bytes(1000))
        writer.write(text[: len(text) * int(parts[0]) // 100])
        await writer.drain()
        await asyncio.sleep(0.02)
        reset(writer)
        return False

    async def do_fin(self, request, reader, writer, number, parts):
        """FIN after PERCENT of an answer of 1000 bytes."""
        await read_body(reader, request)
        text = answer(bytes(1000))
        writer.write(text[: len(text) * int(parts[0]) // 100])
        return False

    async def do_close_after(self, request, reader, writer, number, parts):
        """A good answer that keeps the connection, which then ends without a word."""
        await read_body(reader, request)
        writer.write(answer("kept? no", headers=[f"X-Connection: {number}"]))
        return False

    async def do_dies_when_used_again(self, request, reader, writer, number, parts):
        """The first request of a connection is answered, the second kills it after being read."""
        await read_body(reader, request)
        if getattr(writer, "used", False):
            reset(writer)
            return False
        writer.used = True
        writer.write(answer("first", headers=[f"X-Connection: {number}"]))

    async def do_early(self, request, reader, writer, number, parts):
        """Answers 413 before the body is read."""
        writer.write(answer("too large", "413 Too Large", ["Connection: close"]))
        await writer.drain()
        await asyncio.sleep(0.2)
        return False

    async def do_cut(self, request, reader, writer, number, parts):
        """/cut/BYTES/BEFORE/KIND/AFTER: takes that much of the body, waits BEFORE seconds, answers (KIND: none, half, or
        a status), waits AFTER seconds and resets the connection."""
        size, before, kind, after = int(parts[0]), float(parts[1]), parts[2], float(parts[3])
        if size:
            await reader.readexactly(size)
        await asyncio.sleep(before)
        text = b"HTTP/1.1 201 Cre" if kind == "half" else b""
        if kind.isdigit():
            text = answer("not this", f"{kind} Whatever", ["Connection: close"])
        writer.write(text)
        await writer.drain()
        await asyncio.sleep(after)
        reset(writer)
        return False

    async def do_duplex(self, request, reader, writer, number, parts):
        """Sends its head at once, then each chunk of the body in capitals as it comes, then "bye"."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await writer.drain()
            size = int((await reader.readline()).split(b";")[0], 16)
            chunk = (await reader.readexactly(size + 2))[:-2]
            if size == 0:
                break
            writer.write(f"{size:x}\r\n".encode() + chunk.upper() + b"\r\n")
        writer.write(b"3\r\nbye\r\n0\r\n\r\n")

    # --- upgrades ----------------------------------------------------------------------------------

    async def do_upgrade(self, request, reader, writer, number, parts):
        """101, a greeting in the same packet, then an echo in capitals until the other side's end."""
        await read_body(reader, request)
        if request.headers.get("upgrade") != "tcp":
            writer.write(answer("no upgrade", "400 Bad Request"))
            return
        writer.write(
            b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\ngreeting\n"
        )
        while True:
            data = await reader.read(65536)
            if not data:
                break
            writer.write(data.upper())
            await writer.drain()
        writer.write(b"bye\n")
        return False

    async def do_chunked_error(self, request, reader, writer, number, parts):
        writer.write(
            b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbroke\r\n3\r\nn !\r\n0\r\n\r\n"
        )

    async def do_unasked_101(self, request, reader, writer, number, parts):
        writer.write(b"HTTP/1.1 101 Why\r\nUpgrade: x\r\n\r\n")


class Plain(Server):
    """Answers 400 to whatever it gets, as servers do that are spoken to in TLS."""

    async def serve(self, reader, writer):
        await reader.read(1)
        writer.write(answer("plain HTTP here", "400 Bad Request"))
        await writer.drain()
        writer.close()


def serve_with_client_certificates(listener, context):
    """asyncio drops the alert of a failed handshake, so this one server is a thread."""
    while True:
        connection, _ = listener.accept()
        connection.settimeout(5)
        tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            tls.do_handshake()
            tls.recv(65536)
            tls.sendall(answer("hello", headers=["Connection: close"]))
        except OSError:
            pass
        try:
            tls.shutdown(socket.SHUT_WR)
            while tls.recv(65536):
                pass  # closed with bytes unread it would be a reset, which overtakes the alert
        except OSError:
            pass
        tls.close()


class Proxy(Server):
    """An HTTP proxy: CONNECT, and whole URLs. Wants user "u", password "p" when `auth` is set."""

    def __init__(self, name, auth=False):
        super().__init__(name)
        self.auth = auth
        self.log = []

    async def route(self, request, reader, writer, number):
        self.log.append(f"{request.method} {request.target}")
        if request.path == "/log":
            writer.write(answer("\n".join(self.log)))
            return True
        wanted = "Basic " + base64.b64encode(b"u:p").decode()
        if self.auth and request.headers.get("proxy-authorization") != wanted:
            writer.write(answer("who?", "407 Who", ['Proxy-Authenticate: Basic realm="x"']))
            return True
        if request.method == "CONNECT":
            requests["connect-head"] = request.lines
            self.log.append("\n".join(request.lines))
            return await self.connect(request, reader, writer)
        await read_body(reader, request)
        text = "by proxy " + request.target + "\n" + "\n".join(request.lines)
        writer.write(answer(text))
        return True

    async def connect(self, request, reader, writer):
        host, _, port = request.target.rpartition(":")
        if host == "refused.example":
            writer.write(answer("no", "502 Bad Gateway"))
            return True
        # Names are the proxy's business: here every one is this machine.
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await writer.drain()

        async def copy(source, sink):
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
                sink.write_eof()
            except (ConnectionError, OSError):
                pass

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        far_writer.close()
        return False


class Socks(Server):
    """SOCKS5 without a user; notes whether it was given a name or an address."""

    asked = []

    async def serve(self, reader, writer):
        await reader.readexactly((await reader.readexactly(2))[1])
        writer.write(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = socket.inet_ntoa(await reader.readexactly(4))
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        Socks.asked.append(host)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")

        async def copy(source, sink):
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
                sink.close()
            except OSError:
                pass

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


def tls_context(name, client_ca=None, old=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(FOLDER, name + ".pem"))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(os.path.join(FOLDER, client_ca))
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def weak_context(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(os.path.join(FOLDER, name + ".pem"))
    return context


async def main():
    servers = [Server("http"), Server("other"), Plain("plain"), Socks("socks"), Proxy("proxy"), Proxy("proxy_auth", auth=True)]
    extra = {}
    for name in ("good", "expired", "wrong_host", "self_signed"):
        if os.path.exists(os.path.join(FOLDER, name + ".pem")):
            servers.append(Server(name, tls_context(name)))
    if os.path.exists(os.path.join(FOLDER, "good.pem")):
        listener = socket.create_server(("127.0.0.1", 0))
        extra["client"] = listener.getsockname()[1]
        context = tls_context("good", client_ca="ca.crt")
        arguments = (listener, context)
        threading.Thread(target=serve_with_client_certificates, args=arguments, daemon=True).start()
        servers.append(Server("old", tls_context("good", old=True)))
    if os.path.exists(os.path.join(FOLDER, "weak.pem")):
        servers.append(Server("weak", weak_context("weak")))
    for server in servers:
        await server.listen()
    await asyncio.start_unix_server(servers[0].serve, os.path.join(FOLDER, "http.sock"), limit=1 << 22)
    # Accepts connections (the kernel does) and never looks at them.
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(128)
    ports = {server.name: server.port for server in servers}
    ports.update(extra)
    ports["hole"] = hole.getsockname()[1]
    lines = ", ".join(f"{name} = {port}" for name, port in ports.items())
    path = os.path.join(FOLDER, "ports.lua")
    with open(path + ".new", "w") as file:
        file.write(f"return {{ {lines}, pid = {os.getpid()} }}\n")
    os.rename(path + ".new", path)
    os.dup2(os.open(os.path.join(FOLDER, "stderr"), os.O_WRONLY | os.O_CREAT), 2)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    os._exit(0)


asyncio.run(main())
