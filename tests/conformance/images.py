"""images: the images that are compared, byte for byte the same at every run and on every machine."""
# SPDX-License-Identifier: MIT
import hashlib
import io
import json
import struct
import tarfile
import zlib

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST, INDEX, CONFIG = OCI + "manifest.v1+json", OCI + "index.v1+json", OCI + "config.v1+json"
LAYER, GZIP, ZSTD = OCI + "layer.v1.tar", OCI + "layer.v1.tar+gzip", OCI + "layer.v1.tar+zstd"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
V2, LIST = DOCKER + "distribution.manifest.v2+json", DOCKER + "distribution.manifest.list.v2+json"
V2_CONFIG, V2_LAYER = DOCKER + "container.image.v1+json", DOCKER + "image.rootfs.diff.tar.gzip"
FOREIGN = DOCKER + "image.rootfs.foreign.diff.tar.gzip"
V1 = DOCKER + "distribution.manifest.v1+prettyjws"


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def encode(value):
    return json.dumps(value, separators=(",", ":")).encode()


def descriptor(data, media_type, **more):
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return out.getvalue()


def gzip(data):
    """Stored blocks: no compressor's version decides the bytes."""
    out = bytearray(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
    for at in range(0, max(len(data), 1), 65535):
        part = data[at:at + 65535]
        out += struct.pack("<BHH", at + 65535 >= len(data), len(part), len(part) ^ 0xFFFF) + part
    return bytes(out + struct.pack("<II", zlib.crc32(data), len(data)))


def zstd(data):
    out = bytearray(b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)))  # one segment, size of 4 bytes
    for at in range(0, len(data), 1 << 17):
        part = data[at:at + (1 << 17)]
        out += struct.pack("<I", (at + (1 << 17) >= len(data)) | len(part) << 3)[:3] + part
    return bytes(out)


class Image:
    """blobs: digest -> bytes; manifests: list of (bytes, media type), children first, the root last."""

    def __init__(self):
        self.blobs, self.manifests = {}, []

    def blob(self, data, media_type, **more):
        self.blobs[digest_of(data)] = data
        return descriptor(data, media_type, **more)

    def add(self, value, media_type):
        data = value if isinstance(value, bytes) else encode(value)
        self.manifests.append((data, media_type))
        return descriptor(data, media_type)

    @property
    def root(self):
        return self.manifests[-1][0]

    @property
    def digest(self):
        return digest_of(self.root)


def platform(architecture, variant=None, os="linux"):
    return {"architecture": architecture, "os": os, **({"variant": variant} if variant else {})}


def config_of(layers, architecture="amd64", variant=None, **more):
    return encode({**platform(architecture, variant), "config": {"Cmd": ["/hello"], "Env": ["PATH=/bin"]}, **more,
                   "created": "2026-01-02T03:04:05Z", "rootfs": {"type": "layers", "diff_ids": layers},
                   "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "test"} for _ in layers]})


def single(image=None, word="one", docker=False, pack=gzip, layers=2, architecture="amd64", variant=None, **manifest):
    """One platform; returns the image and the manifest's descriptor."""
    image = image or Image()
    plain = [tar({f"{word}-{number}.txt": (word * 50).encode()}) for number in range(layers)]
    layer_type = V2_LAYER if docker else {gzip: GZIP, zstd: ZSTD, bytes: LAYER}[pack]
    config = image.blob(config_of([digest_of(data) for data in plain], architecture, variant),
                        V2_CONFIG if docker else CONFIG)
    value = {"schemaVersion": 2, "mediaType": V2 if docker else MANIFEST, "config": config,
             "layers": [image.blob(pack(data), layer_type) for data in plain], **manifest}
    return image, image.add({name: one for name, one in value.items() if one is not None}, V2 if docker else MANIFEST)


def index_of(image, entries, docker=False, **more):
    return image.add({"schemaVersion": 2, "mediaType": LIST if docker else INDEX, "manifests": entries, **more},
                     LIST if docker else INDEX)


def multi(docker=False, attested=False):
    image, entries = Image(), []
    for architecture, variant in (("amd64", None), ("arm64", "v8"), ("arm", "v7")):
        _, found = single(image, architecture, docker, architecture=architecture, variant=variant)
        entries.append({**found, "platform": platform(architecture, variant)})
    if attested:
        for subject in entries[:2]:
            statement = image.blob(encode({"subject": subject["digest"]}), "application/vnd.in-toto+json")
            config = image.blob(config_of([], "unknown"), CONFIG)
            found = image.add({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [statement]}, MANIFEST)
            entries.append({**found, "platform": platform("unknown", os="unknown"), "annotations": {
                "vnd.docker.reference.digest": subject["digest"], "vnd.docker.reference.type": "attestation-manifest"}})
    index_of(image, entries, docker)
    return image


def nested():
    image, entries = Image(), []
    for word in ("left", "right"):
        _, found = single(image, word)
        entries.append(index_of(image, [{**found, "platform": platform("amd64")}], annotations={"side": word}))
    index_of(image, entries)
    return image


def artifact(subject=None):
    image = Image()
    empty = image.blob(b"{}", EMPTY_TYPE)
    layer = image.blob(b'{"packages":[]}', "application/spdx+json")
    image.add({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/spdx+json", "config": empty,
               "layers": [layer], **({"subject": subject} if subject else {})}, MANIFEST)
    return image


def edited(change, **options):
    """A single image whose manifest is changed before it is written."""
    image, _ = single(**options)
    value = json.loads(image.manifests.pop()[0])
    change(value, image)
    image.add(value, value.get("mediaType") or MANIFEST)
    return image


def foreign():
    def change(value, image):
        layer = value["layers"][1]
        del image.blobs[layer["digest"]]
        layer["mediaType"], layer["urls"] = FOREIGN, ["http://127.0.0.1:1/layer.tgz"]
    return edited(change, docker=True)


def empty_layer():
    def change(value, image):
        value["layers"].append(image.blob(gzip(bytes(1024)), GZIP))
        config = json.loads(image.blobs[value["config"]["digest"]])
        config["rootfs"]["diff_ids"].append(digest_of(bytes(1024)))
        config["history"].append({"created_by": "nothing"})
        value["config"] = image.blob(encode(config), CONFIG)
    return edited(change)


def same_layer_twice():
    def change(value, image):
        value["layers"][1] = value["layers"][0]
        config = json.loads(image.blobs[value["config"]["digest"]])
        config["rootfs"]["diff_ids"][1] = config["rootfs"]["diff_ids"][0]
        value["config"] = image.blob(encode(config), CONFIG)
    return edited(change)


def truncated_gzip():
    def change(value, image):
        whole = image.blobs[value["layers"][1]["digest"]]
        value["layers"][1] = image.blob(whole[:len(whole) // 2], GZIP)
    return edited(change)


def wrong_diff_id():
    def change(value, image):
        config = json.loads(image.blobs[value["config"]["digest"]])
        config["rootfs"]["diff_ids"][0] = digest_of(b"something else")
        value["config"] = image.blob(encode(config), CONFIG)
    return edited(change)


def inline_data():
    import base64
    def change(value, image):
        value["config"]["data"] = base64.b64encode(image.blobs[value["config"]["digest"]]).decode()
    return edited(change)


def sha512_layer():
    def change(value, image):
        layer = value["layers"][1]
        data = image.blobs[layer["digest"]]
        layer["digest"] = digest_of(data, "sha512")
        image.blobs[layer["digest"]] = data
    return edited(change)


def zero_bytes():
    return edited(lambda value, image: value["layers"].append(image.blob(b"", LAYER)))


def legit():
    """Images that are as they should be."""
    return {
        "oci": single()[0], "docker": single(docker=True)[0], "zstd": single(pack=zstd)[0], "plain-tar": single(pack=bytes)[0],
        "index": multi(), "docker-list": multi(docker=True), "attested": multi(attested=True), "nested": nested(),
        "artifact": artifact(), "no-layers": single(layers=0)[0], "empty-layer": empty_layer(),
        "same-layer-twice": same_layer_twice(), "no-media-type": single(mediaType=None)[0],
        "annotated": single(annotations={"org.opencontainers.image.title": "a \"quoted\" title"})[0],
        "data": inline_data(), "arm64-only": arm64_only(), "one-blob-large": large(), "zero-bytes": zero_bytes(),
    }


def arm64_only():
    image = Image()
    _, found = single(image, architecture="arm64", variant="v8")
    index_of(image, [{**found, "platform": platform("arm64", "v8")}])
    return image


def large():
    return edited(lambda value, image: value["layers"].append(image.blob(gzip(tar({"large": bytes(range(256)) * 12000})), GZIP)))
