#!/usr/bin/env python3
"""registry_tokens: a token server for registries, as distribution's docs/spec/auth has it.

  registry_tokens.py FOLDER PORT   signs with token.key and token.crt of FOLDER

GET /token?service=&scope=...   with basic auth "user" and "secret word": all that is asked for; without: pull of
                                repositories under public/; another password: 401
POST /token                     refresh_token "identity": all that is asked for; another one: 401
GET /asked                      what was asked so far, as JSON: [{method, scopes, user, grant}]
"""
# SPDX-License-Identifier: MIT
import base64
import http.server
import json
import os
import subprocess
import sys
import time
import urllib.parse

FOLDER, PORT = sys.argv[1], int(sys.argv[2])
USER, PASSWORD, IDENTITY = "user", "secret word", "identity"
LIFE_S = 300
asked = []


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate():
    with open(f"{FOLDER}/token.crt") as file:
        return "".join(line.strip() for line in file if "-----" not in line)


def sign(access, user):
    header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate()]}
    now = int(time.time())
    claims = {"iss": "ctz-test-tokens", "aud": "ctz-test", "sub": user, "iat": now, "nbf": now - 10,
              "exp": now + LIFE_S, "jti": os.urandom(8).hex(), "access": access}
    text = url64(json.dumps(header).encode()) + "." + url64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{FOLDER}/token.key"], input=text.encode(),
                               capture_output=True, check=True).stdout
    return text + "." + url64(signature)


def access_of(scopes, known):
    access = []
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        actions = actions.split(",")
        if not known:
            actions = [one for one in actions if one == "pull" and name.startswith("public/")]
        access.append({"type": kind, "name": name, "actions": actions})
    return access


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def user(self):
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        return base64.b64decode(text).decode().partition(":") if kind == "Basic" else None

    def give(self, scopes, user, field):
        self.answer(200, {field: sign(access_of(scopes, user is not None), user or ""),
                          "expires_in": LIFE_S})

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == "/asked":
            return self.answer(200, asked)
        user = self.user()
        scopes = [one for scope in query.get("scope", []) for one in scope.split()]
        asked.append({"method": "GET", "scopes": scopes, "user": user[0] if user else None})
        if user and (user[0] != USER or user[2] != PASSWORD):
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]})
        return self.give(scopes, user[0] if user else None, "token")

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        scopes = form.get("scope", [""])[0].split()
        asked.append({"method": "POST", "scopes": scopes, "grant": form.get("grant_type", [""])[0]})
        if form.get("refresh_token", [""])[0] != IDENTITY:
            return self.answer(401, {"error": "invalid_grant"})
        return self.give(scopes, USER, "access_token")


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
