"""images.py: OCI layouts for benchmarks, the same bytes in every run."""
# SPDX-License-Identifier: MIT
import concurrent.futures
import hashlib
import io
import json
import os
import random
import tarfile
import zlib

MIB = 1 << 20
LAYER, CONFIG = "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Layer:
    """A file that hashes and compresses what is written to it, and is put at its place by its digest."""

    def __init__(self, folder, number, level):
        self.folder, self.path = folder, f"{folder}/layer{number}"
        self.file = open(self.path, "wb")
        self.packer = zlib.compressobj(level, zlib.DEFLATED, 31)
        self.inside, self.outside, self.size = hashlib.sha256(), hashlib.sha256(), 0

    def write(self, data):
        self.inside.update(data)
        self.put(self.packer.compress(data))
        return len(data)

    def put(self, data):
        self.outside.update(data)
        self.size += len(data)
        self.file.write(data)

    def finish(self):
        self.put(self.packer.flush())
        self.file.close()
        os.rename(self.path, f"{self.folder}/blobs/sha256/{self.outside.hexdigest()}")
        descriptor = {"mediaType": LAYER, "digest": f"sha256:{self.outside.hexdigest()}", "size": self.size}
        return descriptor, f"sha256:{self.inside.hexdigest()}"


def noise(rng):
    """Files of bytes that do not compress."""
    while True:
        yield rng.randbytes(rng.randrange(1 << 20, 6 << 20))


def software(rng):
    """Files as distributions have them: many small ones, some large; three quarters of the bytes are words."""
    words = [bytes(rng.choices(b"etaoinshrdlucmfwypvbgkqjxz_", k=rng.randrange(2, 11))) for _ in range(4000)]
    text = b" ".join(rng.choices(words, weights=[1 / (i + 5) for i in range(len(words))], k=1_500_000))
    while True:
        size = min(int(rng.lognormvariate(8.7, 1.9)), 8 << 20)
        if rng.random() < 0.25:
            yield rng.randbytes(size)
        else:
            start = rng.randrange(len(text) - size)
            yield text[start:start + size]


def make_layer(folder, number, size, contents, level):
    """A layer of about that size before it is compressed."""
    layer, rng = Layer(folder, number, level), random.Random(number)
    with tarfile.open(fileobj=layer, mode="w|") as tar:
        for i, content in enumerate(contents(rng)):
            entry = tarfile.TarInfo(f"opt/layer{number}/d{i // 100}/f{i}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
            size -= len(content) + 1024
            if size <= 0:
                break
    return layer.finish()


def put(folder, content):
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{folder}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def make(folder, sizes_mib, contents, level):
    """A layout with one image, tagged "1"; returns the digest of its manifest and its layers' files."""
    os.makedirs(f"{folder}/blobs/sha256")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        layers = list(pool.map(lambda at: make_layer(folder, at[0], at[1] * MIB, contents, level), enumerate(sizes_mib)))
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}}
    manifest = put(folder, {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer for layer, _ in layers],
                            "config": {"mediaType": CONFIG, **put(folder, config)}})
    index = {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, **manifest, "annotations": {
        "org.opencontainers.image.ref.name": "1"}}]}
    with open(f"{folder}/index.json", "w") as file:
        json.dump(index, file)
    with open(f"{folder}/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    return manifest["digest"], [f"{folder}/blobs/sha256/{layer['digest'][7:]}" for layer, _ in layers]
