"""tools: how each client is told to do an operation, and what is made of what it says."""
# SPDX-License-Identifier: MIT
import hashlib
import json
import os
import re

SKOPEO_READ = ["--src-tls-verify=false", "--dest-tls-verify=false"]


class Tool:
    """Each operation returns a command, or nothing where the client has no such operation."""

    def __init__(self, program):
        self.program = program

    def command(self, operation, ref, target, options):
        make = getattr(self, operation, None)
        return make and make(ref, target, options)


class Ctz(Tool):
    name = "ctz"

    def lua(self, text):
        return [self.program, "eval", text]

    def split(self, ref):
        host, _, rest = ref.partition("/")
        return host, *re.match(r"(.*?)(?:[:@]([^/]*))?$", rest, re.S).groups()

    def resolve(self, ref, _, __):
        return self.lua(f"return ctz.image.open({json.dumps(ref)}):digest()")

    def copy(self, ref, target, _):
        return [self.program, "copy", "--progress", "none", "--no-referrers", ref, target]

    def pull(self, ref, folder, _):
        return [self.program, "copy", "--progress", "none", "--no-referrers", ref, f"oci:{folder}:1"]

    def push(self, folder, target, _):
        return [self.program, "copy", "--progress", "none", f"oci:{folder}:1", target]

    def save(self, ref, file, _):
        return [self.program, "copy", "--progress", "none", ref, f"docker-archive:{file}:saved:1"]

    def load(self, file, target, _):
        return [self.program, "copy", "--progress", "none", f"docker-archive:{file}", target]

    def archive(self, ref, target, options):
        file = options["file"]
        return [self.copy(ref, f"oci-archive:{file}:1", options), self.copy(f"oci-archive:{file}:1", target, options)]

    def config(self, ref, _, __):
        return [self.program, "inspect", "--config", ref]

    def platform(self, ref, _, options):
        return [self.program, "inspect", "--raw", "--platform", options["platform"], ref]

    def tags(self, ref, _, __):
        return [self.program, "tags", ref]

    def catalog(self, ref, _, __):
        return self.lua(f'for name in ctz.registry.connect("{ref}"):catalog() do print(name) end')

    def blob(self, ref, _, __):
        host, repo, digest = self.split(ref)
        return self.lua(f'local blob <close> = ctz.registry.connect("{host}"):blob("{repo}", "{digest}") '
                        "for chunk in function() return blob:read() end do io.write(chunk) end")

    def delete(self, ref, _, __):
        host, repo, tag = self.split(ref)
        return self.lua(f'ctz.registry.connect("{host}"):delete("{repo}", "{tag}")')

    def index(self, ref, target, options):
        host, repo, tag = self.split(target)
        entries = ", ".join(json.dumps(one.partition("@")[2]) for one in options["entries"])
        return self.lua(f'ctz.registry.connect("{host}"):create_index("{repo}", "{tag}", {{{entries}}})')

    def tag(self, ref, target, _):
        host, repo, tag = self.split(target)
        return self.lua(f'ctz.registry.manage{{operation="tag", image="{ref}", tags={{"{tag}"}}}}')

    def referrers(self, ref, _, __):
        host, repo, tag = self.split(ref)
        return self.lua(f'for _, one in ipairs(ctz.registry.connect("{host}"):referrers("{repo}", "{tag}")) do print(one.digest) end')


class Crane(Tool):
    name = "crane"

    def do(self, *words):
        return [self.program, "--insecure", *words]

    def resolve(self, ref, _, __):
        return self.do("digest", ref)

    def copy(self, ref, target, _):
        return self.do("copy", ref, target)

    def pull(self, ref, folder, _):
        return self.do("pull", "--format=oci", ref, folder)

    def push(self, folder, target, _):
        return self.do("push", folder, target)

    def save(self, ref, file, _):
        return self.do("pull", ref, file)

    def load(self, file, target, _):
        return self.do("push", file, target)

    def config(self, ref, _, __):
        return self.do("config", ref)

    def platform(self, ref, _, options):
        return self.do("manifest", "--platform", options["platform"], ref)

    def tags(self, ref, _, __):
        return self.do("ls", ref)

    def catalog(self, ref, _, __):
        return self.do("catalog", ref)

    def blob(self, ref, _, __):
        return self.do("blob", ref)

    def delete(self, ref, _, __):
        return self.do("delete", ref)

    def index(self, _, target, options):
        return self.do("index", "append", *(word for one in options["entries"] for word in ("-m", one)), "-t", target)

    def tag(self, ref, target, _):
        return self.do("tag", ref, target.rpartition(":")[2])


class Regctl(Tool):
    name = "regctl"
    hosts = ()

    def do(self, *words):
        return [self.program, *(word for host in self.hosts for word in ("--host", f"reg={host},tls=disabled")), *words]

    def resolve(self, ref, _, __):
        return self.do("image", "digest", ref)

    def copy(self, ref, target, _):
        return self.do("image", "copy", ref, target)

    def pull(self, ref, folder, _):
        return self.do("image", "copy", ref, f"ocidir://{folder}:1")

    def push(self, folder, target, _):
        return self.do("image", "copy", f"ocidir://{folder}:1", target)

    def save(self, ref, file, options):
        return self.do("image", "export", ref, file)

    def load(self, file, target, _):
        return self.do("image", "import", target, file)

    def archive(self, ref, target, options):
        return [self.do("image", "export", ref, options["file"]), self.do("image", "import", target, options["file"])]

    def config(self, ref, _, __):
        return self.do("image", "config", "--format", "raw-body", ref)

    def platform(self, ref, _, options):
        return self.do("manifest", "get", "--format", "raw-body", "--platform", options["platform"], ref)

    def tags(self, ref, _, __):
        return self.do("tag", "ls", ref)

    def catalog(self, ref, _, __):
        return self.do("repo", "ls", ref)

    def blob(self, ref, _, __):
        repo, _, digest = ref.partition("@")
        return self.do("blob", "get", repo, digest)

    def delete(self, ref, _, __):
        return self.do("tag", "delete", ref)

    def index(self, _, target, options):
        return self.do("index", "create", target, *(word for one in options["entries"] for word in ("--ref", one)))

    def tag(self, ref, target, _):
        return self.do("image", "copy", ref, target)

    def referrers(self, ref, _, __):
        return self.do("artifact", "list", "--format", "{{range .Descriptors}}{{println .Digest}}{{end}}", ref)


class Skopeo(Tool):
    name = "skopeo"

    def do_copy(self, source, target):
        return [self.program, "--insecure-policy", "copy", "--all", *SKOPEO_READ, source, target]

    def resolve(self, ref, _, __):
        return [self.program, "inspect", "--raw", "--tls-verify=false", f"docker://{ref}"]

    def copy(self, ref, target, _):
        return self.do_copy(f"docker://{ref}", f"docker://{target}")

    def pull(self, ref, folder, _):
        return self.do_copy(f"docker://{ref}", f"oci:{folder}:1")

    def push(self, folder, target, _):
        return self.do_copy(f"oci:{folder}:1", f"docker://{target}")

    def save(self, ref, file, _):
        return [self.program, "--insecure-policy", "copy", *SKOPEO_READ, f"docker://{ref}", f"docker-archive:{file}:saved:1"]

    def load(self, file, target, _):
        return [self.program, "--insecure-policy", "copy", *SKOPEO_READ, f"docker-archive:{file}", f"docker://{target}"]

    def archive(self, ref, target, options):
        file = options["file"]
        return [self.do_copy(f"docker://{ref}", f"oci-archive:{file}:1"), self.do_copy(f"oci-archive:{file}:1", f"docker://{target}")]

    def config(self, ref, _, __):
        return [self.program, "inspect", "--config", "--raw", "--tls-verify=false", f"docker://{ref}"]

    def tags(self, ref, _, __):
        return [self.program, "list-tags", "--tls-verify=false", f"docker://{ref}"]

    def delete(self, ref, _, __):
        return [self.program, "delete", "--tls-verify=false", f"docker://{ref}"]

    def tag(self, ref, target, _):
        return self.copy(ref, target, _)


def said(tool, operation, output):
    """What a client printed, in a form that can be compared."""
    if operation == "resolve":
        return f"sha256:{hashlib.sha256(output).hexdigest()}" if tool == "skopeo" else output.decode().strip().rpartition("\n")[2]
    if operation in ("config", "platform", "blob"):
        data = output.rstrip(b"\n") if operation != "blob" else output
        return f"sha256:{hashlib.sha256(data).hexdigest()}"
    if tool == "skopeo" and operation == "tags":
        return " ".join(json.loads(output)["Tags"] or [])
    if operation == "catalog":
        return f"{sum(line.startswith('legit/') for line in output.decode().split())} of legit/"
    return " ".join(output.decode("utf-8", "replace").split())


def refusal(output, names):
    """The line of an error that says what is wrong, without what changes from run to run."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip() and "level=WARN" not in line
             and "level=warning" not in line]
    marked = [line for line in lines if re.match(r"(Error|error|FATA|time=.*level=fatal)", line)]
    line = (marked or lines or ["(nothing)"])[0]
    line = re.sub(r'^time=\S+ level=\w+ msg="(.*)"$', r"\1", line)
    for text, name in sorted(names.items(), key=lambda pair: -len(pair[0])):
        line = line.replace(text, name)
    line = re.sub(r"\d{4}[/-]\d\d[/-]\d\d[T ]\d\d:\d\d:\d\d\S*", "TIME", line)
    line = re.sub(r"127\.0\.0\.1:\d{4,}", "127.0.0.1:N", line)
    line = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}|_state=[^\s\"&]+", "ID", line)
    line = re.sub(r"/s\d+\b", "/ID", line)
    line = re.sub(r"(sha256:)?\b[0-9a-f]{64}\b", "DIGEST", line)  # of two blobs, either may fail first
    return line if len(line) <= 240 else line[:237] + "..."


def environment(home):
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "ASAN_OPTIONS", "LSAN_OPTIONS") if name in os.environ}
    return {**kept, "HOME": home, "DOCKER_CONFIG": f"{home}/.docker", "XDG_RUNTIME_DIR": f"{home}/run", "NO_COLOR": "1",
            "REGISTRY_AUTH_FILE": f"{home}/.docker/config.json", "TMPDIR": f"{home}/tmp"}
