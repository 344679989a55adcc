"""rows: what is asked of every client, and of what. Row(name, operation, words, input's name, options)."""
# SPDX-License-Identifier: MIT
import json
from collections import namedtuple

import images
from odd_registry import Repository

Row = namedtuple("Row", "name operation ref options")
ZERO = "sha256:" + "0" * 64


def row(rows, name, operation, ref="", **options):
    rows.append(Row(name, operation, ref, options))


def oddities():
    """Images that are wrong, or that a registry serves in its own way: name -> Repository."""
    one = images.single()[0]
    found = {name: Repository(one, **odd) for name, odd in {
        "blob-wrong": {"layer": lambda data: data[:-1] + b"!"}, "blob-short": {"layer": lambda data: data[:-1]},
        "blob-long": {"layer": lambda data: data + b"!"}, "blob-broken-off": {"length": 5}, "blob-no-length": {"close": True},
        "blob-encoded": {"blob-headers": {"Content-Encoding": "x-gzip"}},
        "blob-wrong-type": {"blob-headers": {"Content-Type": "text/html"}},
        "blob-lied-digest": {"blob-headers": {"Docker-Content-Digest": ZERO}},
        "blob-redirect": {"blob-redirect": lambda owner, path: f"http://{owner.hosts[1]}{path.replace('/v2/', '/storage/')}"},
        "blob-redirect-loop": {"blob-redirect": lambda owner, path: path},
        "range-works": {"cut": "range"}, "range-ignored": {"cut": "whole"}, "range-416": {"cut": "416"}, "range-never": {"cut": "never"},
        "head-405": {"head-status": 405}, "head-500": {"head-status": 500},
        "no-digest": {"manifest-headers": {"Docker-Content-Digest": None}},
        "no-type": {"manifest-headers": {"Content-Type": None}},
        "type-params": {"manifest-type": images.MANIFEST + "; charset=utf-8"}, "type-json": {"manifest-type": "application/json"},
        "type-docker": {"manifest-type": images.V2}, "type-index": {"manifest-type": images.INDEX},
        "digest-lied": {"manifest-headers": {"Docker-Content-Digest": ZERO}},
        "digest-nonsense": {"manifest-headers": {"Docker-Content-Digest": "sha256:xyz"}},
        "body-other": {"manifest-body": one.root + b"\n"}, "body-empty": {"manifest-body": b""}, "body-null": {"manifest-body": b"null"},
        "body-html": {"manifest-body": b"<html>welcome</html>", "manifest-type": "text/html"},
        "manifest-loop": {"location": lambda path: path}, "manifest-gone": {"status": (410, "GONE")},
        "denied": {"status": (403, "DENIED")}, "unauthorized": {"status": (401, "UNAUTHORIZED")},
        "busy-429": {"manifests-first": [429]}, "busy-503": {"manifests-first": [503]}, "busy-502": {"manifests-first": [502]},
        "busy-408": {"manifests-first": [408]}, "busy-after-1s": {"manifests-first": [429], "headers": {"Retry-After": "1"}},
        "busy-for-a-day": {"manifests-first": [429] * 99, "headers": {"Retry-After": "86400"}},
        "blob-503": {"blobs-first": [503]},
    }.items()}
    for name, change in {
        "size-too-large": lambda value, _: value["layers"][0].update(size=99999),
        "size-too-small": lambda value, _: value["layers"][0].update(size=5),
        "size-negative": lambda value, _: value["layers"][0].update(size=-1),
        "size-text": lambda value, _: value["layers"][0].update(size="10253"),
        "size-fraction": lambda value, _: value["layers"][0].update(size=10253.5),
        "digest-absent": lambda value, _: value["layers"][0].update(digest=ZERO),
        "digest-md5": lambda value, _: value["layers"][0].update(digest="md5:d41d8cd98f00b204e9800998ecf8427e"),
        "digest-path": lambda value, _: value["layers"][0].update(digest="sha256:../../../../etc/passwd"),
        "digest-upper": lambda value, _: value["layers"][0].update(digest=value["layers"][0]["digest"].upper()),
        "digest-missing": lambda value, _: value["layers"][0].pop("digest"),
        "layers-null": lambda value, _: value.update(layers=None),
        "layers-object": lambda value, _: value.update(layers={}),
        "config-missing": lambda value, _: value.pop("config"),
        "schema-version-3": lambda value, _: value.update(schemaVersion=3),
        "both": lambda value, _: value.update(manifests=[]),
        "large-manifest": lambda value, _: value.update(annotations={"a": "x" * (3 << 20)}),
        "over-4-mib": lambda value, _: value.update(annotations={"a": "x" * (5 << 20)}),
        "over-8-mib": lambda value, _: value.update(annotations={"a": "x" * (9 << 20)}),
        "data-wrong": lambda value, _: value["config"].update(data="e30="),
    }.items():
        found[name] = Repository(images.edited(change))
    found["truncated-gzip"], found["wrong-diff-id"] = Repository(images.truncated_gzip()), Repository(images.wrong_diff_id())
    found["sha512"] = Repository(images.sha512_layer())
    found["schema1"] = schema1()
    found["foreign"] = Repository(images.foreign())
    found["index-of-itself"], found["child-absent"], found["child-damaged"] = indexes()
    found["deep"] = deep()
    return found


def schema1():
    image = images.Image()
    image.add({"schemaVersion": 1, "name": "odd/schema1", "tag": "1", "architecture": "amd64", "fsLayers": [], "history": [],
               "signatures": []}, images.V1)
    return Repository(image)


def indexes():
    itself = images.Image()
    found = {**images.descriptor(b"", images.INDEX), "digest": "sha256:" + "1" * 64}
    images.index_of(itself, [found])
    looped = Repository(itself)
    looped.manifests[found["digest"]] = looped.manifests["1"]
    absent = images.multi()
    absent.manifests.pop(1)
    damaged = Repository(images.multi())
    child = next(digest for digest, (_, kind) in damaged.manifests.items() if kind == images.MANIFEST)
    data, kind = damaged.manifests[child]
    damaged.manifests[child] = data.replace(b"schemaVersion", b"schemaVersioN"), kind
    return looped, Repository(absent), damaged


def deep():
    image = images.Image()
    _, found = images.single(image)
    for level in range(40):
        found = images.index_of(image, [{**found, "annotations": {"level": str(level)}}])
    return Repository(image)


def legit_rows(rows):
    for name in images.legit():
        row(rows, f"resolve {name}", "resolve", f"REAL/legit/{name}:1")
        row(rows, f"copy {name} to a registry", "copy", f"REAL/legit/{name}:1")
        row(rows, f"pull {name} to a layout", "pull", f"REAL/legit/{name}:1")
    for name in ("oci", "docker", "zstd", "index", "artifact", "no-layers"):
        row(rows, f"push {name} from a layout", "push", name)
    for name in ("oci", "docker", "plain-tar", "zstd", "index", "empty-layer", "same-layer-twice", "arm64-only", "artifact"):
        row(rows, f"save {name} as docker-archive", "save", f"REAL/legit/{name}:1")
    for name in ("one", "two-names", "gzip-layers", "links", "legacy-only", "wrong-layer", "no-manifest", "compressed"):
        row(rows, f"load docker-archive {name}", "load", name)
    row(rows, "oci-archive out and in", "archive", "REAL/legit/index:1")
    for name in ("oci", "docker", "index", "artifact", "no-media-type"):
        row(rows, f"config of {name}", "config", f"REAL/legit/{name}:1")
    for name, platform in (("index", "linux/amd64"), ("index", "linux/arm64"), ("index", "linux/arm/v7"), ("index", "linux/arm"),
                           ("index", "linux/arm64/v8"), ("index", "windows/amd64"), ("nested", "linux/amd64"),
                           ("attested", "linux/amd64"), ("docker-list", "linux/arm64"), ("oci", "linux/amd64"), ("oci", "linux/arm64")):
        row(rows, f"manifest of {name} for {platform}", "platform", f"REAL/legit/{name}:1", platform=platform)


def other_rows(rows):
    digest, other = images.single()[0].digest, images.single(docker=True)[0].digest
    for name, ref in {
        "by digest": f"REAL/legit/oci@{digest}", "by tag and digest": f"REAL/legit/oci:1@{digest}",
        "by tag and the digest of another": f"REAL/legit/oci:1@{other}", "by an absent tag and a digest": f"REAL/legit/oci:none@{digest}",
        "absent tag": "REAL/legit/oci:none", "absent repository": "REAL/none/none:1", "absent digest": f"REAL/legit/oci@{ZERO}",
        "no tag": "REAL/legit/oci", "upper case name": "REAL/Legit/oci:1", "upper case tag": "REAL/legit/oci:UPPER",
        "empty tag": "REAL/legit/oci:", "tag of 128": "REAL/legit/oci:" + "t" * 128, "tag of 129": "REAL/legit/oci:" + "t" * 129,
        "tag with a dash first": "REAL/legit/oci:-1", "tag with a slash": "REAL/legit/oci:a/b", "short digest": "REAL/legit/oci@sha256:abc",
        "upper case digest": f"REAL/legit/oci@{digest.upper()}", "unknown algorithm": "REAL/legit/oci@md5:d41d8cd98f00b204e9800998ecf8427e",
        "two slashes": "REAL/legit//oci:1", "name with three underscores": "REAL/legit/o___ci:1", "name with two dots": "REAL/legit/o..ci:1",
        "a space behind": "REAL/legit/oci:1 ", "a scheme": "http://REAL/legit/oci:1", "a query": "REAL/legit/oci:1?a=b",
        "a path upwards": "REAL/legit/../oci:1", "port too large": "127.0.0.1:99999/a/b:1", "nobody listens": "127.0.0.1:1/a/b:1",
        "no name": "REAL/", "empty": "",
    }.items():
        row(rows, f"reference: {name}", "resolve", ref)
    for repo in ("tags-null", "tags-numbers", "tags-ignore", "tags-quay", "tags-loop", "tags-other", "tags-link", "tags-short"):
        row(rows, f"tags: {repo}", "tags", f"FAULTS/{repo}/a")
    row(rows, "tags of a repository", "tags", "REAL/legit/oci")
    row(rows, "tags of an absent repository", "tags", "REAL/none/none")
    row(rows, "catalog", "catalog", "REAL")
    row(rows, "read a blob", "blob", "REAL/legit/oci@" + json.loads(images.single()[0].root)["config"]["digest"])
    row(rows, "read an absent blob", "blob", f"REAL/legit/oci@{ZERO}")
    row(rows, "delete one of two tags of a manifest", "delete", "REAL")
    row(rows, "delete one of two tags, 2.8.2", "delete", "OLD")
    row(rows, "delete where nothing is removed", "delete", "FIXED")
    row(rows, "delete an absent tag", "delete", "REAL", absent=True)
    row(rows, "make an index of two images", "index", "REAL")
    row(rows, "one more tag", "tag", "REAL/legit/index:1")
    row(rows, "referrers", "referrers", "REAL/legit/subject:1")
    row(rows, "referrers of what has none", "referrers", "REAL/legit/oci:1")
    for name, repo in (("pages", "ref-pages"), ("filter", "ref-filter")):
        row(rows, f"referrers: {name}", "referrers", f"FAULTS/{repo}/a@{digest}")
    for kind in ("up-relative", "up-dots", "up-other", "up-whole", "up-put200", "up-lost", "up-half", "up-416", "up-gone",
                 "up-ecr", "up-minimum", "up-maximum", "up-never", "up-mount-202", "up-mount-400"):
        row(rows, f"push: {kind}", "push", "blob", to=f"FAULTS/{kind}/a:1")
    for kind in ("auth", "auth-short", "auth-scope", "auth-never", "auth-none", "auth-long", "auth-elsewhere"):
        row(rows, f"resolve: {kind}", "resolve", f"FAULTS/{kind}/a:1", auth="good")
    for host in ("BASIC", "TOKEN"):
        for auth in ("good", "wrong", "none"):
            row(rows, f"{host.lower()}, credentials: {auth}", "resolve", f"{host}/legit/oci:1", auth=auth)
    row(rows, "to a registry with tokens", "copy", "REAL/legit/index:1", to="TOKEN", auth="good")
    row(rows, "to another repository of a registry with tokens (mount)", "copy", "TOKEN/legit/oci:1", to="TOKEN", auth="good")
    row(rows, "to the registry 2.8.2", "copy", "REAL/legit/nested:1", to="OLD")
    row(rows, "resolve: 200 to everything", "resolve", "EVERYTHING/a/b:1")
    row(rows, "resolve: a warning", "resolve", "FAULTS/warning/a:1")


def all_rows():
    rows = []
    legit_rows(rows)
    other_rows(rows)
    for name in oddities():
        row(rows, f"pull: {name}", "pull", f"ODD/odd/{name}:1")
    for name in ("head-405", "no-digest", "digest-lied", "body-other", "schema1", "both", "type-json", "type-index", "no-type",
                 "over-8-mib", "body-empty"):
        row(rows, f"resolve: {name}", "resolve", f"ODD/odd/{name}:1")
    for name in ("blob-wrong", "blob-short", "truncated-gzip", "wrong-diff-id", "foreign", "child-absent", "sha512", "over-4-mib"):
        row(rows, f"copy to a registry: {name}", "copy", f"ODD/odd/{name}:1")
    return rows
