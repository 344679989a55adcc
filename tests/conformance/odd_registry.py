"""odd_registry: a registry that serves exactly the images it is given, and does with them what it is told."""
# SPDX-License-Identifier: MIT
import http.server
import json
import re
import threading
import urllib.parse

from images import digest_of


class Repository:
    """One image under the tag "1"; odd: what is done differently, as {"name": value}."""

    def __init__(self, image, **odd):
        self.blobs, self.odd, self.counts = dict(image.blobs), odd, {}
        self.manifests = {digest_of(data): (data, kind) for data, kind in image.manifests}
        self.manifests["1"] = image.manifests[-1]

    def times(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1
        return self.counts[what] - 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None, length=None):
        headers = {"Content-Type": "application/octet-stream", "Content-Length": len(body) if length is None else length,
                   **(headers or {})}
        self.send_response_only(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, headers=None):
        body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
        self.answer(status, body, {"Content-Type": "application/json", **(headers or {})})

    def cut(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(2)

    def do_GET(self):
        if self.path == "/v2/":
            return self.answer(200, b"{}", {"Content-Type": "application/json"})
        found = re.match(r"/(v2|storage)/([a-z0-9/-]+)/(manifests|blobs|tags|referrers)/([^?]+)", self.path)
        repository = found and self.server.owner.repositories.get(found[2])
        if not repository:
            return self.fail(404, "NAME_UNKNOWN")
        if found[3] in ("tags", "referrers"):
            return self.fail(404, "NAME_UNKNOWN")
        kind, name = found[3], urllib.parse.unquote(found[4])
        for status in repository.odd.get(f"{kind}-first", ())[repository.times("asked"):][:1]:
            return self.fail(status, "TOOMANYREQUESTS" if status == 429 else "UNAVAILABLE", repository.odd.get("headers"))
        return getattr(self, kind)(repository, name, found[1])

    do_HEAD = do_GET

    def manifests(self, repository, name, _):
        odd = repository.odd
        if name not in repository.manifests:
            return self.fail(404, "MANIFEST_UNKNOWN")
        data, media_type = repository.manifests[name]
        if self.command == "HEAD" and "head-status" in odd:
            return self.answer(odd["head-status"])
        if "status" in odd:
            return self.fail(*odd["status"])
        if "location" in odd:
            return self.answer(307, b"", {"Location": odd["location"](self.path)})
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest_of(data), **odd.get("manifest-headers", {})}
        if "manifest-body" in odd:
            data = odd["manifest-body"]
        if "manifest-type" in odd:
            headers["Content-Type"] = odd["manifest-type"]
        return self.answer(200, data, headers)

    def blobs(self, repository, name, where):
        odd = repository.odd
        if name not in repository.blobs:
            return self.fail(404, "BLOB_UNKNOWN")
        data = repository.blobs[name]
        is_layer = len(data) > 1500
        if "blob-redirect" in odd and where == "v2":
            return self.answer(307, b"", {"Location": odd["blob-redirect"](self.server.owner, self.path)})
        headers = {"Docker-Content-Digest": name, **odd.get("blob-headers", {})}
        if is_layer and "layer" in odd:
            data = odd["layer"](data)
        if self.command == "HEAD":
            return self.answer(200, data, headers)
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if is_layer and "cut" in odd:
            return self.cut_layer(repository, data, int(wanted[1]) if wanted else 0, bool(wanted))
        if is_layer and odd.get("close"):
            self.answer(200, data, {**headers, "Content-Length": None, "Connection": "close"})
            return self.cut()
        if is_layer and odd.get("length"):
            self.answer(200, data, headers, len(data) + odd["length"])
            return self.cut()
        return self.answer(200, data, headers)

    def cut_layer(self, repository, data, start, ranged):
        """The first answers break in the middle; odd["cut"] says what a Range gets: range, whole, 416 or never."""
        kind = repository.odd["cut"]
        if kind == "never" or repository.times("cut") < 1:
            self.answer(206 if ranged else 200, data[start:start + 1000],
                        {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if ranged else None, len(data) - start)
            return self.cut()
        if ranged and kind == "416":
            return self.fail(416, "RANGE_INVALID")
        if ranged and kind == "range":
            return self.answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
        return self.answer(200, data)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Registry:
    """hosts: two addresses of it; the second stands for storage elsewhere."""

    def __init__(self):
        self.repositories, self.hosts = {}, []
        for _ in range(2):
            server = Server(("127.0.0.1", 0), Handler)
            server.owner = self
            self.hosts.append(f"127.0.0.1:{server.server_address[1]}")
            threading.Thread(target=server.serve_forever, daemon=True).start()
