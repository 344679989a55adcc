"""judge: what a client left behind, looked at without any client: a repository, a layout, a docker-archive."""
# SPDX-License-Identifier: MIT
import base64
import gzip
import hashlib
import json
import os
import re
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zlib

import images

ACCEPT = ", ".join((images.MANIFEST, images.INDEX, images.V2, images.LIST))
USER, PASSWORD = "user", "secret word"


class Refused(Exception):
    pass


def basic():
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def request(method, url, body=None, headers=None, authorization=None):
    asked = urllib.request.Request(url, data=body, method=method, headers={"Accept": ACCEPT, **(headers or {})})
    if authorization:
        asked.add_unredirected_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
        if error.code != 401 or authorization:
            return error.code, error.headers, error.read()
    return request(method, url, body, headers, token_for(challenge) if challenge.startswith("Bearer") else basic())


def token_for(challenge):
    part = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({"service": part["service"], "scope": part.get("scope", "")})
    answer = request("GET", f"{part['realm']}?{query}", authorization=basic())
    found = json.loads(answer[2])
    return "Bearer " + (found.get("token") or found["access_token"])


def put_image(host, repo, image, tag="1"):
    """Pushes an image as it is. Blobs that a registry would refuse to name (foreign ones) are not sent."""
    for digest, data in image.blobs.items():
        status, headers, _ = request("POST", f"http://{host}/v2/{repo}/blobs/uploads/", b"")
        if status != 202:
            raise Refused(f"{host}: POST: {status}")
        location = headers["Location"]
        status, _, said = request("PUT", f"{location}{'&' if '?' in location else '?'}digest={digest}", data,
                                  {"Content-Type": "application/octet-stream"})
        if status != 201:
            raise Refused(f"{host}: PUT of a blob: {status} {said[:200]}")
    for data, kind in image.manifests:
        names = [images.digest_of(data)] + ([tag] if data is image.root else [])
        for name in names:
            status, _, said = request("PUT", f"http://{host}/v2/{repo}/manifests/{name}", data, {"Content-Type": kind})
            if status != 201:
                raise Refused(f"{host}: PUT of a manifest: {status} {said[:200]}")


def is_right(data, digest):
    algorithm, _, value = digest.partition(":")
    return algorithm in ("sha256", "sha512") and hashlib.new(algorithm, data).hexdigest() == value


def walk(digest, read_manifest, has_blob, found):
    data = read_manifest(digest)
    if data is None:
        found["missing"] += 1
        return
    if not is_right(data, digest):
        found["damaged"] += 1
    value = json.loads(data)
    for child in value.get("manifests") or []:
        walk(child["digest"], read_manifest, has_blob, found)
    blobs = ([value["config"]] if value.get("config") else []) + (value.get("layers") or [])
    for blob in blobs:
        if not blob.get("urls"):
            state = has_blob(blob["digest"])
            found[state] = found.get(state, 0) + 1


def told(digest, found):
    wrong = [f"{found[name]} {name}" for name in ("missing", "damaged") if found[name]]
    return f"{digest} {', '.join(wrong) or 'whole'}"


def repository(target):
    host, _, rest = target.partition("/")
    repo, _, tag = rest.rpartition(":")
    base = f"http://{host}/v2/{repo}"
    found = {"missing": 0, "damaged": 0}
    status, _, data = request("GET", f"{base}/manifests/{tag}")
    if status != 200:
        return f"nothing there ({status})"

    def read_manifest(digest):
        status, _, data = request("GET", f"{base}/manifests/{digest}")
        return data if status == 200 else None

    def has_blob(digest):
        return "there" if request("HEAD", f"{base}/blobs/{digest}")[0] == 200 else "missing"
    digest = images.digest_of(data)
    walk(digest, read_manifest, has_blob, found)
    return told(digest, found)


def config_in(target):
    host, _, rest = target.partition("/")
    repo, _, tag = rest.rpartition(":")
    status, _, data = request("GET", f"http://{host}/v2/{repo}/manifests/{tag}")
    return f"config {json.loads(data)['config']['digest']}" if status == 200 else f"nothing there ({status})"


def entries_in(target):
    host, _, rest = target.partition("/")
    repo, _, tag = rest.rpartition(":")
    status, _, data = request("GET", f"http://{host}/v2/{repo}/manifests/{tag}")
    return f"{len(json.loads(data).get('manifests', []))} manifests" if status == 200 else f"nothing there ({status})"


def read_in(folder, digest):
    path = os.path.join(folder, "blobs", *digest.split(":", 1))
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def layout(folder):
    with open(f"{folder}/index.json", "rb") as file:
        entries = json.load(file)["manifests"]
    if len(entries) != 1:
        return f"{len(entries)} entries"
    found = {"missing": 0, "damaged": 0}

    def has_blob(digest):
        data = read_in(folder, digest)
        return "missing" if data is None else "there" if is_right(data, digest) else "damaged"
    walk(entries[0]["digest"], lambda digest: read_in(folder, digest), has_blob, found)
    return told(entries[0]["digest"], found)


def leftovers(folder):
    """Damaged blobs that can be seen under their digest although the pull failed."""
    count = 0
    for algorithm in ("sha256", "sha512"):
        place = os.path.join(folder, "blobs", algorithm)
        for name in os.listdir(place) if os.path.isdir(place) else ():
            if re.fullmatch("[0-9a-f]+", name):
                count += not is_right(read_in(folder, f"{algorithm}:{name}"), f"{algorithm}:{name}")
    return f"; leaves {count} damaged" if count else ""


def unpacked(data):
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error):
        return b""


def docker_archive(path):
    with tarfile.open(path) as archive:
        def read(name):
            return archive.extractfile(name).read()
        if "manifest.json" not in archive.getnames():
            return "no manifest.json"
        one = json.loads(read("manifest.json"))
        if len(one) != 1:
            return f"{len(one)} images"
        config = read(one[0]["Config"])
        layers = [images.digest_of(unpacked(read(name))) for name in one[0]["Layers"] or []]
    ids = (json.loads(config).get("rootfs") or {}).get("diff_ids") or []
    return f"config {images.digest_of(config)} {'whole' if ids == layers else 'layers differ from diff_ids'}"
