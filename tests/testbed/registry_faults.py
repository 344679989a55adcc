#!/usr/bin/env python3
"""registry_faults: a registry that does what registries in the world do. The first part of a repository's name says
what; everything else about it is right.

  registry_faults.py FOLDER   FOLDER/ports.lua has its ports once it listens: registry, other (another origin: storage
                              and uploads), everything (200 to all that is asked), with FOLDER/tls.pem (key and
                              certificate) tls; ends with its stdin

GET /log of any port: the requests so far, [{method, path, port, auth, ...}]. GET /reset forgets them and all it keeps.
"""
# SPDX-License-Identifier: MIT
import email.utils
import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

FOLDER = sys.argv[1]
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
         "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": EMPTY, "layers": []}).encode()
BLOB = bytes(range(256)) * 20000  # 5 MB
CHUNK = 1 << 20
lock = threading.Lock()
ports, log, counts = {}, [], {}
blobs, manifests, sessions, valid = {}, {}, {}, {}


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def reset():
    for kept in (log, counts, blobs, manifests, sessions, valid):
        kept.clear()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    # --- answers -------------------------------------------------------------------------------------

    def answer(self, status, body=b"", headers=(), length=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers = [("Content-Type", "application/json"), *headers]
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, message="no", headers=()):
        self.answer(status, {"errors": [{"code": code, "message": message}]}, headers)

    def hang_up(self):
        self.close_connection = True
        self.connection.close()

    def reset_in_body(self):
        """up-reset, up-reset-half (of an answer), up-reset-500: the connection ends in the middle of what is sent in one
        piece; -late: a moment later."""
        size, kind = int(self.headers.get("Content-Length") or 0), self.path.split("/")[2]
        if size < 2:
            return False
        self.rfile.read(size // 2)
        text = {"half": b"HTTP/1.1 201 Cre", "500": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"}
        self.wfile.write(text.get(kind.split("-")[2] if kind.count("-") > 1 else "", b""))
        time.sleep(0.1 if kind.endswith("-late") else 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()
        return True

    def times(self, what):
        """How often that happened before in this repository."""
        key = (self.repo, what)
        counts[key] = counts.get(key, 0) + 1
        return counts[key] - 1

    # --- requests ------------------------------------------------------------------------------------

    def handle_one(self):
        self.url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.url.query))
        is_upload = self.command == "PUT" and "/blobs/uploads/" in self.path
        if is_upload and self.path.startswith("/v2/up-reset") and self.reset_in_body():
            return None
        if is_upload and self.path.startswith("/v2/up-stall") and int(self.headers.get("Content-Length") or 0) > 2:
            self.rfile.read(int(self.headers["Content-Length"]) // 2)
            time.sleep(600)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = b"".join(iter(self.chunk, b""))
        if self.url.path == "/log":
            return self.answer(200, log)
        if self.url.path == "/reset":
            reset()
            return self.answer(200)
        port = next(name for name, number in ports.items() if number == self.server.server_address[1])
        log.append({"method": self.command, "path": self.path, "port": port, "size": len(self.body),
                    "auth": self.headers.get("Authorization", ""), "range": self.headers.get("Range", ""),
                    "content_range": self.headers.get("Content-Range", "")})
        if port == "everything":
            return self.answer(200, b"<html>welcome</html>", [("Content-Type", "text/html")])
        self.repo = self.scenario = ""
        if self.url.path == "/storage/token":
            return self.answer(200, b'{"token": "of the storage"}')
        if self.url.path == "/storage/token-wanted" and self.headers.get("Authorization") != "Bearer of the storage":
            realm = f'Bearer realm="http://127.0.0.1:{ports["other"]}/storage/token",service="store",scope="get"'
            return self.answer(401, b"", [("WWW-Authenticate", realm)])
        if self.url.path.startswith("/storage/"):
            return self.answer(200, BLOB)
        if self.url.path == "/token":
            return self.token()
        found = re.match(r"/v2/(.+?)/(manifests|blobs/uploads|blobs|tags|referrers)/(.*)$", self.url.path)
        if not found:
            return self.answer(200, {})
        self.repo, kind, rest = found.groups()
        self.scenario = self.repo.partition("/")[0]
        if self.is_busy() or self.is_unknown():
            return None
        return getattr(self, {"manifests": "manifest", "blobs/uploads": "upload", "blobs": "blob", "tags": "tags",
                              "referrers": "referrers"}[kind])(rest)

    def chunk(self):
        size = int(self.rfile.readline(), 16)
        return self.rfile.read(size + 2)[:-2]

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_one

    # --- load ----------------------------------------------------------------------------------------

    def is_busy(self):
        found = re.match(r"busy-(\d+)(-date|-half|-long)?$", self.scenario)
        if not found or self.times("busy") >= (9 if found[2] == "-long" else 2):
            return False
        headers = []
        if found[2] == "-date":
            headers = [("Retry-After", email.utils.formatdate(time.time() + 2, usegmt=True))]
        elif found[2] == "-half":
            headers = [("Retry-After", "30")]
        elif found[2] == "-long":
            headers = [("Retry-After", "86400")]
        self.fail(int(found[1]), "TOOMANYREQUESTS", "slow down", headers)
        return True

    # --- who is it -----------------------------------------------------------------------------------

    def challenge(self, realm=None, more=""):
        realm = realm or f"http://127.0.0.1:{ports['registry']}/token?kept=1"
        return (f'Negotiate, Basic realm="a, \\"b\\"", Bearer realm="{realm}",service="the, service"{more}')

    def is_unknown(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        kind = self.scenario
        if not kind.startswith("auth"):
            return False
        left = valid.get(token, 0)
        valid[token] = left - 1
        if kind == "auth-elsewhere":
            header = self.challenge(f"http://0.0.0.0:{ports['registry']}/token")
        elif kind == "auth-scope" and left > 0 and "extra" not in token:
            header = self.challenge(more=',error="insufficient_scope",scope="repository:auth-scope/extra:pull"')
        elif left > 0 and kind != "auth-never":
            return False
        else:
            header = self.challenge()
        self.fail(401, "UNAUTHORIZED", "who are you?", [("WWW-Authenticate", header)])
        return True

    def token(self):
        scopes = " ".join(value for name, value in urllib.parse.parse_qsl(self.url.query) if name == "scope")
        if "auth-long" in scopes:
            return self.answer(200, {"token": "x" * 70000})
        if "auth-none" in scopes:
            return self.answer(200, {"access_token": ""})
        token = f"t{len(log)}-{'extra' if 'extra' in scopes else ''}"
        valid[token] = 3 if "auth-short" in scopes else 1000
        return self.answer(200, {"access_token": token, "expires_in": 1})

    # --- manifests -----------------------------------------------------------------------------------

    def manifest(self, reference):
        kind, headers, body = self.scenario, [("Content-Type", OCI)], manifests.get((self.repo, reference), MANIFEST)
        if self.command == "PUT":
            return self.put_manifest(reference)
        if self.command == "DELETE":
            return self.delete_manifest(reference)
        if kind.startswith("kept") or kind.startswith("ref") or kind == "delete-tag":
            if (self.repo, reference) not in manifests:
                if kind == "ref-gitlab" and reference.startswith("sha256-"):
                    return self.answer(200, MANIFEST, headers)
                return self.fail(404, "MANIFEST_UNKNOWN")
            media_type = json.loads(body).get("mediaType", OCI)
            headers = [("Content-Type", media_type), ("ETag", f'"{digest_of(body)}"')]
        if self.command == "HEAD" and kind == "head500":
            return self.fail(500, "UNKNOWN")
        if kind in ("nodigest", "nohead"):
            if self.command == "HEAD" and kind == "nohead":
                return self.fail(405, "UNSUPPORTED")
            return self.answer(200, body, headers)
        if kind == "wrongbody":
            body = MANIFEST + b" "
        elif kind == "schema1":
            headers = [("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")]
        elif kind == "both":
            body = json.dumps({"schemaVersion": 2, "layers": [], "manifests": []}).encode()
        elif kind == "types":
            headers = [("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")]
        elif kind == "params":
            headers = [("Content-Type", OCI + "; charset=utf-8")]
        elif kind == "vague":
            headers = [("Content-Type", "text/plain")]
        elif kind == "notjson":
            body = b"welcome"
        elif kind == "huge":
            body = json.dumps({"layers": [], "mediaType": OCI, "a": "x" * (9 << 20)}).encode()
        elif kind == "warning":
            headers.append(("Warning", '299 - "this is \\"old\\""'))
            headers.append(("Warning", '199 other "not shown"'))
        elif kind == "quota":
            headers += [("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "42;w=21600"),
                        ("Docker-RateLimit-Source", "192.0.2.1")]
        elif kind == "secretmessage":
            return self.fail(403, "DENIED", "see https://storage.test/x?X-Amz-Signature=topsecret for more")
        elif kind == "html":
            return self.answer(502, b"<html>bad gateway</html>", [("Content-Type", "text/html")])
        elif kind == "moving":  # the tag, after it was looked at once
            other = MANIFEST + b"\n"
            is_other = reference == digest_of(other) if ":" in reference else self.times("tag") > 0
            body = other if is_other else MANIFEST
        elif kind == "loop":
            return self.answer(307, b"", [("Location", self.path)])
        said = digest_of(b"another one") if kind == "wrongdigest" else digest_of(body)
        return self.answer(200, body, [*headers, ("Docker-Content-Digest", said)])

    def put_manifest(self, reference):
        with lock:
            now = manifests.get((self.repo, reference))
            wanted = self.headers.get("If-Match")
            if wanted and (not now or wanted != f'"{digest_of(now)}"'):
                return self.fail(412, "CONFLICT", "it changed")
            if self.scenario == "ref-race" and reference.startswith("sha256-") and self.times("race") == 0:
                other = {"mediaType": OCI, "digest": digest_of(b"other"), "size": 5, "artifactType": "other"}
                body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [other]}
                manifests[(self.repo, reference)] = json.dumps(body).encode()
                return self.fail(412, "CONFLICT", "somebody else was faster")
            manifests[(self.repo, reference)] = self.body
            manifests[(self.repo, digest_of(self.body))] = self.body
        headers = [("Docker-Content-Digest", digest_of(self.body))]
        if self.scenario == "kept-nothing":
            manifests.clear()
            headers = []
        elif self.scenario == "kept-other":
            headers = [("Docker-Content-Digest", digest_of(b"another one"))]
        return self.answer(201, b"", headers)

    def delete_manifest(self, reference):
        if self.scenario == "delete-tag":  # tags cannot be removed; of the digest, all tags go
            if ":" not in reference:
                return self.fail(405, "UNSUPPORTED")
            if self.times("delete") > 0:
                return self.fail(403, "DENIED", "not again")
        for key in [key for key, body in manifests.items() if key[0] == self.repo and
                    (key[1] == reference or digest_of(body) == reference)]:
            del manifests[key]
        return self.answer(202)

    # --- blobs ---------------------------------------------------------------------------------------

    def blob(self, digest):
        kind, offset = self.scenario, 0
        content = blobs.get((self.repo, digest))
        if content is None and digest != digest_of(BLOB):
            return self.fail(404, "BLOB_UNKNOWN")
        if content is None and (kind.startswith("up") or kind.startswith("ref") or kind.startswith("delete")):
            return self.fail(404, "BLOB_UNKNOWN")
        content = BLOB if content is None else content
        if self.command == "HEAD":
            return self.answer(200, content)
        wanted = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        if kind == "redirect-token":
            return self.answer(307, b"", [("Location", f"http://127.0.0.1:{ports['other']}/storage/token-wanted")])
        if kind == "redirect":
            return self.answer(307, b"", [("Location", f"http://127.0.0.1:{ports['other']}/storage/x?X-Signature=topsecret")])
        if kind.startswith("tenth-") and self.times("tenth") == 0:
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:len(content) * int(kind[6:]) // 10])
            return self.hang_up()
        if kind == "wrong":
            return self.answer(200, content[:-1] + b"!")
        if kind in ("long", "short"):
            content = content + b"!" if kind == "long" else content[:-1]
            self.send_response_only(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)
            return self.hang_up()
        if kind == "cut-416" and wanted:
            return self.fail(416, "RANGE_INVALID")
        if kind == "cut-whole":
            wanted = None
        if wanted:
            offset = int(wanted[1])
            shown = offset + 7 if kind == "cut-wrong" else offset
            headers = [("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")]
        if kind.startswith("cut") and (kind == "cut-always" or self.times("cut") < 3):
            self.send_response_only(206 if wanted else 200)
            for name, value in headers if wanted else ():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) - offset))
            self.end_headers()
            if kind != "cut-always":
                self.wfile.write(content[offset:offset + (1 << 20) + 5000])
            return self.hang_up()
        return self.answer(206 if wanted else 200, content[offset:], headers if wanted else ())

    # --- uploads -------------------------------------------------------------------------------------

    def upload(self, session):
        if self.command == "POST":
            return self.begin()
        if session not in sessions:
            return self.fail(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "GET":
            return self.session_answer(204, session)
        if self.command == "DELETE":
            del sessions[session]
            return self.answer(204)
        return self.patch(session) if self.command == "PATCH" else self.put(session)

    def begin(self):
        kind = self.scenario
        if "mount" in self.query:
            if kind == "up-mount-400":
                return self.fail(400, "UNSUPPORTED")
            if kind == "up-mount-any" and "from" in self.query:
                return self.fail(400, "UNSUPPORTED", "I look for it myself")
            if kind in ("up-mount", "up-mount-any"):
                blobs[(self.repo, self.query["mount"])] = BLOB
                return self.answer(201, b"", [("Location", f"/v2/{self.repo}/blobs/{self.query['mount']}")])
        session = f"s{len(log)}"
        sessions[session] = b""
        headers = [("OCI-Chunk-Min-Length", str(5 << 20))] if kind == "up-minimum" else []
        headers += [("OCI-Chunk-Min-Length", str(1 << 40))] if kind == "up-maximum" else []
        return self.session_answer(202, session, headers)

    def session_answer(self, status, session, headers=(), stored=None):
        kind, stored = self.scenario, len(sessions[session]) if stored is None else stored
        path = f"/v2/{self.repo}/blobs/uploads/{session}"
        location = f"http://127.0.0.1:{ports['registry']}{path}?_state={len(log)}"
        if kind == "up-relative":
            location = f"{path}?_state={len(log)}"
        elif kind == "up-dots":
            location = f"{session}?_state={len(log)}"
        elif kind == "up-other":
            location = f"http://127.0.0.1:{ports['other']}{path}?_state=topsecret"
        return self.answer(status, b"", [("Location", location), ("Range", f"0-{max(stored - 1, 0)}"), *headers])

    def patch(self, session):
        kind, data = self.scenario, sessions[session]
        first = int(self.headers.get("Content-Range", f"{len(data)}-").partition("-")[0])  # without: it goes on
        if kind == "up-416" and self.times("416") == 0:
            sessions[session] = data + self.body[:1000]
            return self.session_answer(416, session)
        if first != len(data):
            return self.session_answer(416, session)
        if kind == "up-never":
            return self.session_answer(202, session)
        if kind == "up-half" and self.times("half") < 2:
            sessions[session] = data + self.body[:len(self.body) // 2]
            return self.session_answer(202, session)
        sessions[session] = data + self.body
        if kind == "up-lost" and self.times("lost") < 2:
            return self.hang_up()
        if kind == "up-gone" and self.times("gone") == 0:
            del sessions[session]
            return self.hang_up()
        if kind == "up-ecr":
            return self.session_answer(201, session, stored=CHUNK)
        return self.session_answer(202, session)

    def put(self, session):
        kind = self.scenario
        if self.body and kind not in ("up-whole", "up-relative", "up-dots", "up-other", "up-lostput", "up-put200",
                                      "up-mount-202", "up-mount-400") and not kind.startswith("ref") and \
                not kind.startswith("delete") and not kind.startswith("auth"):
            return self.fail(413, "SIZE_INVALID", "too long")
        data = sessions.pop(session) + self.body
        if digest_of(data) != self.query["digest"]:
            return self.fail(400, "DIGEST_INVALID", "that is something else")
        if kind == "up-put200":
            return self.answer(200)
        blobs[(self.repo, self.query["digest"])] = data
        if kind == "up-lostput":
            return self.hang_up()
        return self.answer(201)

    # --- lists ---------------------------------------------------------------------------------------

    def tags(self, _):
        kind, names = self.scenario, [f"t{i:02}" for i in range(10)]
        size = int(self.query.get("n", 100))
        path = f"/v2/{self.repo}/tags/list"
        if kind == "tags-null":
            return self.answer(200, {"name": self.repo, "tags": None})
        if kind == "tags-numbers":
            return self.answer(200, {"tags": [1, 2]})
        if kind == "tags-ignore":
            return self.answer(200, {"tags": names})
        if kind == "tags-quay":  # an opaque word; another query gets nothing
            page = int(self.query.get("next_page", "0"))
            link = [("Link", f'<{path}?n=3&next_page={page + 1}>; rel="next"')] if page < 3 else []
            return self.answer(200, {"tags": names[page * 3:page * 3 + 3]}, link)
        if kind == "tags-loop":
            return self.answer(200, {"tags": names[:2]}, [("Link", f'<{path}?n=2&last=t01>; rel="next"')])
        if kind == "tags-other":
            return self.answer(200, {"tags": names[:2]}, [("Link", f'<http://127.0.0.1:{ports["other"]}{path}>; rel=next')])
        after = [name for name in names if name > self.query.get("last", "")]
        short = after[:size - 1 if kind == "tags-short" else size]
        link = []
        if kind in ("tags-link", "tags-short") and len(short) < len(after):
            link = [("Link", f'<list?n={size}&last={short[-1]}>; title="a, b"; rel="next"')]
        return self.answer(200, {"tags": short}, link)

    def referrers(self, digest):
        kind = self.scenario
        if kind in ("ref-tag", "ref-gitlab", "ref-race"):
            return self.fail(404, "NOT_FOUND")
        entries = [{"mediaType": OCI, "digest": digest_of(name.encode()), "size": 1, "artifactType": name}
                   for name in ("sbom", "signature", "sbom2")]
        if kind.startswith(("whole", "moving", "busy", "up", "auth")):
            entries = []
        wanted, headers = self.query.get("artifactType"), []
        if kind == "ref-filter" and wanted:
            entries = [entry for entry in entries if entry["artifactType"] == wanted]
            headers = [("OCI-Filters-Applied", "artifactType")]
        page = int(self.query.get("page", 0))
        if kind == "ref-pages":
            headers = [("Link", f'</v2/{self.repo}/referrers/{digest}?page={page + 1}>; rel="next"')] if page < 2 else []
            entries = entries[page:page + 2]
        return self.answer(200, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode(),
                           [("Content-Type", INDEX), *headers])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


servers = {name: Server(("127.0.0.1", 0), Handler) for name in ("registry", "other", "everything")}
if os.path.exists(f"{FOLDER}/tls.pem"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/tls.pem")
    servers["tls"] = Server(("127.0.0.1", 0), Handler)
    servers["tls"].socket = context.wrap_socket(servers["tls"].socket, server_side=True)
for name, server in servers.items():
    ports[name] = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(f"{FOLDER}/ports.new", "w") as file:
    file.write("return {" + ", ".join(f"{name} = {port}" for name, port in ports.items()) + "}\n")
os.rename(f"{FOLDER}/ports.new", f"{FOLDER}/ports.lua")
sys.stdin.buffer.read()
os._exit(0)
