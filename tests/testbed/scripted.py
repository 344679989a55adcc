#!/usr/bin/env python3
"""scripted.py: an HTTP server on 127.0.0.1 that answers as a file of rules says.

usage: scripted.py RULES.json LOG [CERTIFICATE KEY CA]    prints its port, ends with stdin
With a certificate it speaks TLS 1.2 and refuses clients whose certificate is not good.

RULES.json: [{"path": regular expression of path and query, "method"?, "times"?: how often, "status"?, "headers"?,
"body"?: JSON or text, "cut"?: the connection ends after so many bytes of the body, "deaf"?: it ends without an
answer, "gone"?: and nobody listens any more}]; the first rule that fits and is not used up answers, else 404. LOG gets
a JSON line of each request: {method, path, headers, body}.
SPDX-License-Identifier: MIT
"""
import json
import re
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

rules = json.load(open(sys.argv[1]))
log = open(sys.argv[2], "a", buffering=1)
lock = threading.Lock()


def rule_of(method, path):
    with lock:
        for rule in rules:
            fits = rule.get("method", method) == method and re.search(rule["path"], path)
            if fits and rule.get("times", 1) > 0:
                if "times" in rule:
                    rule["times"] -= 1
                return rule
    return {"status": 404, "body": "no rule"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        rule = rule_of(self.command, self.path)
        with lock:
            log.write(json.dumps({"method": self.command, "path": self.path,
                                  "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body}) + "\n")
        if rule.get("gone"):
            self.server.socket.shutdown(socket.SHUT_RDWR)
        if rule.get("deaf") or rule.get("gone"):
            self.close_connection = True
            return
        content = rule.get("body", "")
        is_text = isinstance(content, str)
        data = (content if is_text else json.dumps(content)).encode()
        self.send_response(rule.get("status", 200))
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in rule.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:rule.get("cut")])
        self.close_connection = self.close_connection or "cut" in rule

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    context.load_verify_locations(sys.argv[5])
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # the refusal is part of the handshake then
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
