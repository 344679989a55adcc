"""archives: layouts and docker-archives as files, made without any client."""
# SPDX-License-Identifier: MIT
import io
import json
import os
import tarfile

import images

CHUNKED = bytes(range(256)) * 20000  # the blob of tests/testbed/registry_faults.py


def image_of(name):
    if name != "blob":
        return images.legit()[name]
    image = images.Image()
    config, layer = image.blob(b"{}", images.CONFIG), image.blob(CHUNKED, images.LAYER)
    image.add({"schemaVersion": 2, "mediaType": images.MANIFEST, "config": config, "layers": [layer]}, images.MANIFEST)
    return image


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def write_layout(folder, name):
    image = image_of(name)
    for digest, data in [*image.blobs.items(), *((images.digest_of(data), data) for data, _ in image.manifests)]:
        write(os.path.join(folder, "blobs", *digest.split(":")), data)
    data, kind = image.manifests[-1]
    entry = images.descriptor(data, kind, annotations={"org.opencontainers.image.ref.name": "1"})
    write(f"{folder}/index.json", images.encode({"schemaVersion": 2, "manifests": [entry]}))
    write(f"{folder}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')


def docker_files(kind):
    """name -> bytes, or the target of a link as text."""
    plain = [images.tar({f"{number}.txt": b"text" * 40}) for number in range(2)]
    config = images.config_of([images.digest_of(data) for data in plain])
    names = [f"{images.digest_of(data)[7:]}/layer.tar" for data in plain]
    files = dict(zip(names, plain))
    entry = {"Config": images.digest_of(config)[7:] + ".json", "RepoTags": ["app:1"], "Layers": names}
    files[entry["Config"]] = config
    if kind == "two-names":
        entry["RepoTags"] = ["app:1", "app:2"]
    elif kind == "gzip-layers":
        files.update((name, images.gzip(data)) for name, data in zip(names, plain))
    elif kind == "links":
        files["same/layer.tar"] = "../" + names[1]
        entry["Layers"] = [names[0], "same/layer.tar"]
    elif kind == "wrong-layer":
        files[names[1]] = images.tar({"1.txt": b"other" * 40})
    if kind == "legacy-only":
        files["repositories"] = images.encode({"app": {"1": names[1].partition("/")[0]}})
    elif kind != "no-manifest":
        files["manifest.json"] = images.encode([entry])
    return files


def write_docker(path, kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in docker_files(kind).items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname, content = tarfile.SYMTYPE, content, b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    write(path, images.gzip(out.getvalue()) if kind == "compressed" else out.getvalue())
    return path
