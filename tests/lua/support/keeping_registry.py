"""keeping_registry: a registry that keeps what came of an upload whose client died, as the specification has it.

  keeping_registry.py FOLDER   FOLDER/port has its port once it listens; killed at the end

The first upload with more than STALL bytes is not read further until its client is gone: FOLDER/stalled is made then.
FOLDER/received has the number of bytes of bodies of uploads.
"""
# SPDX-License-Identifier: MIT
import hashlib
import http.server
import os
import re
import sys
import threading

FOLDER, STALL = sys.argv[1], 3 << 20
lock = threading.Lock()
sessions, blobs, manifests = {}, {}, {}
state = {"stalled": False, "received": 0}


def note(name, text):
    with open(f"{FOLDER}/{name}.new", "w") as file:
        file.write(text)
    os.rename(f"{FOLDER}/{name}.new", f"{FOLDER}/{name}")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        if self.connection.recv(1, 2) != b"\x16":  # MSG_PEEK: TLS is not spoken here
            super().handle()

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def receive(self, kept):
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            if len(kept) >= STALL and not state["stalled"]:
                state["stalled"] = True
                note("stalled", "")
                self.connection.settimeout(60)
                while self.connection.recv(1, 2) and not os.path.exists(f"{FOLDER}/gone"):  # MSG_PEEK
                    threading.Event().wait(0.02)
                raise ConnectionResetError
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                raise ConnectionResetError
            kept.extend(piece)
            left -= len(piece)
            with lock:
                state["received"] += len(piece)

    def session_answer(self, status, name):
        headers = {"Location": f"/v2/a/blobs/uploads/{name}?at={len(sessions[name])}", "Docker-Upload-UUID": name}
        if sessions[name]:
            headers["Range"] = f"0-{len(sessions[name]) - 1}"
        self.answer(status, headers)

    def upload(self, name, query):
        if name not in sessions:
            return self.answer(404)
        if self.command == "GET":
            return self.session_answer(204, name)
        if self.command == "DELETE":
            del sessions[name]
            return self.answer(204)
        span = re.match(r"(\d+)-", self.headers.get("Content-Range", ""))
        if span and int(span[1]) != len(sessions[name]):
            return self.session_answer(416, name)
        self.receive(sessions[name])
        if self.command == "PATCH":
            return self.session_answer(202, name)
        digest = re.search("digest=([^&]+)", query)[1].replace("%3A", ":")
        data = bytes(sessions.pop(name))
        note("received", str(state["received"]))
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            return self.answer(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"it is another one"}]}')
        blobs[digest] = data
        return self.answer(201, {"Docker-Content-Digest": digest})

    def handle_all(self):
        path, _, query = self.path.partition("?")
        found = re.match(r"/v2/.+/(blobs|manifests)/(uploads/)?([^/]*)$", path)
        if not found:
            return self.answer(200 if path == "/v2/" else 404)
        kind, is_upload, name = found.groups()
        if is_upload and self.command == "POST":
            name = f"s{len(sessions)}-{len(blobs)}"
            sessions[name] = bytearray()
            return self.session_answer(202, name)
        if is_upload:
            return self.upload(name, query)
        if kind == "manifests" and self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            manifests[name] = manifests[digest] = (body, self.headers["Content-Type"], digest)
            return self.answer(201, {"Docker-Content-Digest": digest})
        if kind == "manifests" and name in manifests:
            body, media_type, digest = manifests[name]
            return self.answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, body)
        if kind == "blobs" and name in blobs:
            return self.answer(200, {"Content-Type": "application/octet-stream"}, blobs[name])
        return self.answer(404)

    def handle_one_method(self):
        try:
            self.handle_all()
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_one_method


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
note("port", str(server.server_address[1]))
server.serve_forever()
