"""common: what the testbeds docker and cluster do in the same way: build once into a cache, processes, namespaces.

A testbed keeps all that it starts in a mount, process and network namespace of its own, whose first process is the
keeper: killing that one ends everything.
"""
# SPDX-License-Identifier: MIT
import fcntl
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import sys
import time

LIFE_S = 3 * 3600  # what nobody stopped ends by itself
CANNOT = 77


class Cannot(Exception):
    """This machine cannot run it; the text says what is missing."""


class Failed(Exception):
    """Something that should work here did not."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def cannot_code():
    return 1 if os.environ.get("CTZ_TEST_REQUIRE_ENGINES") == "1" else CANNOT


def main(run, what=""):
    """Runs a testbed's command line: run(words) returns the exit code, what: words before the reason why it cannot."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(run(sys.argv[1:]))
    except Cannot as cannot:
        say(f"skipped: the tests of {what}{cannot}")
        sys.exit(cannot_code())
    except (Failed, OSError) as failed:
        say(str(failed))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


# --- building through Go -----------------------------------------------------------------------------

def cache(name):
    base = os.environ.get("CTZ_ENGINES")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ctz-engines")
    return os.path.join(os.path.abspath(base), name)


def check_go(version):
    wanted = ".".join(map(str, version))
    if not shutil.which("go"):
        raise Cannot(f"go {wanted} or newer is not in PATH")
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout.strip()
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    if not found or tuple(int(part or 0) for part in found.groups()) < version:
        raise Cannot(f"it needs go {wanted} or newer, PATH has {said or 'one that does not run'}")


def run_go(name, words, folder, environment):
    """Runs `go WORDS`, which prints a line for each package, and says how far it is."""
    command = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "10", "go", *words]  # it does not outlive us
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder)
    start = told = time.monotonic()
    steps, last = 0, []
    for line in process.stderr:
        steps += 1
        last = [*last[-4:], line.rstrip()]
        if time.monotonic() - told >= 10:
            told = time.monotonic()
            say(f"  {name}: {steps} steps, {told - start:.0f} s")
    if process.wait() != 0:
        raise Cannot(f"go {words[0]} {words[-1]} failed: {' | '.join(last)}")
    say(f"  {name} is built: {time.monotonic() - start:.0f} s")


def build_once(target, programs, make, check):
    """Fills the folder target by make(folder) when check() found what that needs.

    Several callers wait for one; a build that is killed leaves nothing that counts."""
    def is_built():
        return all(os.access(os.path.join(target, program), os.X_OK) for program in programs)

    if is_built():
        return
    check()
    home, name = os.path.split(target)
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, f"{name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built():
            return
        for stale in os.listdir(home):
            if stale.startswith(f"{name}.building-"):
                shutil.rmtree(os.path.join(home, stale), ignore_errors=True)
        folder = tempfile.mkdtemp(prefix=f"{name}.building-", dir=home)
        try:
            make(folder)
            os.chmod(folder, 0o755)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


# --- processes ---------------------------------------------------------------------------------------

def stat_of(pid):
    """Fields of /proc/PID/stat behind the name: state, parent, ..., start time as [19]."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def identity(pid):
    """A process as its number and start time, so that a number used again is nobody we know."""
    return [pid, stat_of(pid)[19]]


def is_alive(who):
    stat = who and stat_of(who[0])
    if not stat or stat[19] != who[1]:
        return False
    try:  # the first thread may have ended while others still hold its files and ports
        return stat[0] != "Z" or len(os.listdir(f"/proc/{who[0]}/task")) > 1
    except FileNotFoundError:
        return False


def child_of(pid):
    for name in os.listdir("/proc"):
        stat = stat_of(name) if name.isdigit() else None
        if stat and int(stat[1]) == pid:
            return int(name)
    return None


def wait_until(what, seconds, test, pause=0.02):
    end_time = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end_time:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(pause)


def end(who, number, seconds):
    if is_alive(who):
        os.kill(who[0], number)
    wait_until(f"process {who[0]} ends", seconds, lambda: not is_alive(who))


# --- namespaces --------------------------------------------------------------------------------------

# The first process of the namespaces. It reaps by ignoring SIGCHLD. /run is empty so that sockets and locks stay
# apart; /sys shows this network, with the cgroups of before.
KEEPER = """
mount -t tmpfs tmpfs /run && mkdir /run/cgroup && mount --rbind /sys/fs/cgroup /run/cgroup &&
  mount -t sysfs sysfs /sys && mount --rbind /run/cgroup /sys/fs/cgroup && umount -R /run/cgroup &&
  ip link set lo up || exit 1
{more}
echo ready
exec env --ignore-signal=CHLD sleep {life} >/dev/null
"""


def start_keeper(folder, more):
    """more: shell lines that run in the namespaces before anything else does."""
    script = KEEPER.format(more=more, life=LIFE_S)
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
    with open(os.path.join(folder, "keeper.log"), "w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                   start_new_session=True)
        if process.stdout.readline() != b"ready\n":
            process.kill()
            process.wait()
            log.seek(0)
            raise Cannot(f"this machine gives no namespaces of network, mounts and processes: {log.read().strip()}")
    return identity(child_of(process.pid))


def beside(keeper, *spaces):
    return ["nsenter", "-t", str(keeper[0]), *[f"--{space}" for space in spaces], "--"]


def start_inside(keeper, command, log_path, environment):
    """Starts a daemon in the namespaces; returns who it is, or None when it ended at once."""
    with open(log_path, "a") as log:
        process = subprocess.Popen([*beside(keeper, "net", "mount", "pid"), *command], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True, env=environment)
    wait_until("nsenter starts the daemon", 10, lambda: child_of(process.pid) or process.poll() is not None)
    child = child_of(process.pid)
    return child and identity(child)


def cgroups_of(name):
    """The groups called name and those below them, the deepest first."""
    found = []
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(root) == name:
            found += [path for path, _, _ in os.walk(root, topdown=False)]
            folders.clear()
        elif root.count("/") > 5:
            folders.clear()
    return found


def stop_keeper(keeper, cgroup):
    """The first process takes all others of the namespaces with it, and their mounts and network."""
    if keeper:
        end(keeper, signal.SIGKILL, 30)

    def cgroups_are_gone():
        for path in cgroups_of(cgroup):
            try:
                os.rmdir(path)
            except OSError:
                pass
        return not cgroups_of(cgroup)

    wait_until("its cgroups are empty", 10, cgroups_are_gone)


def check_machine(programs, packages):
    if os.geteuid() != 0:
        raise Cannot("it needs root")
    missing = [word for word in programs if not shutil.which(word)]
    if missing:
        raise Cannot(f"{', '.join(missing)} not found: apt-get install {packages}")
    if in_chroot():
        raise Cannot("this is a chroot, which its containers would leave")


def in_chroot():
    """A mount namespace has the machine's root: containers of an engine in a chroot would work on that."""
    words = ["nsenter", "--mount=/proc/self/ns/mnt", "--", "stat", "-c", "%d:%i", "/"]
    there = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    here = os.stat("/")
    return there not in ("", f"{here.st_dev}:{here.st_ino}")


# --- images ------------------------------------------------------------------------------------------

def base_tar():
    """A root of busybox with a link for each applet, as a tar: the same bytes each time."""
    busybox = shutil.which("busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, kind, mode=0o755, content=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname = kind, mode, len(content), link
            tar.addfile(info, io.BytesIO(content))

        for folder in ("bin", "etc", "home", "root", "var"):
            add(folder, tarfile.DIRTYPE)
        add("tmp", tarfile.DIRTYPE, 0o1777)
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home:/bin/sh\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\napp:x:1000:\n")
        with open(busybox, "rb") as file:
            add("bin/busybox", tarfile.REGTYPE, content=file.read())
        for applet in sorted(set(applets) - {"busybox"}):
            add(f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
    return out.getvalue()
