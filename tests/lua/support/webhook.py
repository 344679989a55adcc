"""webhook: an admission webhook that denies everything, in given words, and speaks TLS.

  webhook.py FOLDER WORDS   makes FOLDER/ca.crt; FOLDER/port has its port once it listens; killed at the end
"""
# SPDX-License-Identifier: MIT
import http.server
import json
import os
import ssl
import subprocess
import sys

FOLDER, WORDS = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "response": {
                "uid": review["request"]["uid"], "allowed": False, "status": {"code": 403, "message": WORDS},
            },
        }).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


subprocess.run([
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=webhook", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{FOLDER}/key", "-out",
    f"{FOLDER}/ca.crt",
], check=True, capture_output=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{FOLDER}/ca.crt", f"{FOLDER}/key")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(f"{FOLDER}/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(f"{FOLDER}/port.new", f"{FOLDER}/port")
server.serve_forever()
