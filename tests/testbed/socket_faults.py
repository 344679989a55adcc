#!/usr/bin/env python3
"""socket_faults.py LISTEN TARGET [options]: a proxy between two unix sockets that spoils answers.

Prints "ready" once it listens; ends when its stdin does. Connections are passed through both ways, half-closed ends
too; a request is spoilt when its first line ("GET /v1.41/info") holds a match of --match (default: every one), and then
its connection up to the end or, if the client asks again on it, the next answer by the same rule.

  --match REGEX   which requests; --times N: only the first N of them, later ones pass
  --cut N         closes after N bytes of the answer; --body: N is counted behind its head
  --stall N       sends nothing more after N bytes and keeps the connection
  --slice N       each read of the client gets N bytes at most
  --delay S       waits S seconds before the first byte of the answer
  --reply FILE    answers with these bytes instead of asking, then closes (--keep: does not)
  --log FILE      writes each request's first line as it comes
"""
# SPDX-License-Identifier: MIT
import argparse
import array
import fcntl
import os
import re
import socket
import sys
import termios
import threading
import time

REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|PATCH) (\S+) HTTP/1\.[01]\r\n")
SIOCOUTQ = termios.TIOCOUTQ  # bytes the other end has not read yet


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("listen")
    parser.add_argument("target")
    parser.add_argument("--match", default="")
    parser.add_argument("--times", type=int, default=1 << 30)
    parser.add_argument("--cut", type=int)
    parser.add_argument("--stall", type=int)
    parser.add_argument("--body", action="store_true")
    parser.add_argument("--slice", type=int)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--reply")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--log")
    return parser.parse_args()


class Rules:
    """What the command line said, and how often it was applied."""

    def __init__(self, options):
        self.options, self.left, self.lock = options, options.times, threading.Lock()

    def apply_to(self, line):
        """Is the answer to this request spoilt?"""
        with self.lock:
            if self.options.log:
                with open(self.options.log, "a") as log:
                    log.write(line + "\n")
            if self.left == 0 or not re.search(self.options.match, line):
                return False
            self.left -= 1
            return True


class Pair:
    """One connection of a client and, unless all is scripted, its connection to the target."""

    def __init__(self, client, rules):
        self.client, self.rules, self.options = client, rules, rules.options
        self.server = socket.socket(socket.AF_UNIX)
        self.forget()

    def forget(self):
        self.spoilt, self.begun, self.head = False, False, b""
        self.left = self.options.stall if self.options.cut is None else self.options.cut

    def close(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self):
        """From the client to the target."""
        while True:
            data = self.client.recv(65536)
            if not data:
                break
            match = REQUEST.match(data)
            if match:
                line = (match[1] + b" " + match[2]).decode("latin-1")
                self.forget()
                self.spoilt = self.rules.apply_to(line)
                if self.spoilt and self.options.reply:
                    return self.script()
            self.server.sendall(data)
        self.server.shutdown(socket.SHUT_WR)

    def script(self):
        with open(self.options.reply, "rb") as file:
            self.send(file.read())
        if self.options.keep:
            while self.client.recv(65536):
                pass
        self.close()

    def answers(self):
        """From the target to the client."""
        while True:
            data = self.server.recv(65536)
            if not data:
                break
            self.send(data)
        self.client.shutdown(socket.SHUT_WR)

    def send(self, data):
        if not self.spoilt:
            return self.client.sendall(data)
        if self.options.delay and not self.begun:
            time.sleep(self.options.delay)
        self.begun = True
        if self.left is not None:
            free = self.rest_of_head(data)
            limit, size = free + self.left, len(data)
            self.left -= min(self.left, size - free)
            self.write(data[:limit])
            if free < size and self.left == 0:
                self.reach_the_limit()
        else:
            self.write(data)

    def rest_of_head(self, data):
        """How many of these bytes belong to the answer's head, which --body does not count."""
        if not self.options.body or b"\r\n\r\n" in self.head:
            return 0
        before = len(self.head)
        self.head += data
        at = self.head.find(b"\r\n\r\n")
        return len(data) if at < 0 else at + 4 - before

    def reach_the_limit(self):
        if self.options.cut is None:
            threading.Event().wait()
        self.drain()
        self.close()
        raise ConnectionAbortedError

    def drain(self):
        """Waits until the client has read all: what follows arrives in a read of its own."""
        waiting = array.array("i", [1])
        while waiting[0]:
            fcntl.ioctl(self.client, SIOCOUTQ, waiting)
            time.sleep(0.0002 if waiting[0] else 0)

    def write(self, data):
        step = self.options.slice or len(data) or 1
        for at in range(0, len(data), step):
            self.client.sendall(data[at:at + step])
            if self.options.slice:
                self.drain()


def guarded(pair, direction):
    try:
        direction()
    except OSError:
        pair.close()


def serve(client, rules):
    pair = Pair(client, rules)
    try:
        pair.server.connect(rules.options.target)
    except OSError:
        if not rules.options.reply:
            return client.close()
    else:
        threading.Thread(target=guarded, args=(pair, pair.answers), daemon=True).start()
    guarded(pair, pair.requests)


def accept(listener, rules):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, rules), daemon=True).start()


def main():
    options = arguments()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(options.listen)
    listener.listen(128)
    threading.Thread(target=accept, args=(listener, Rules(options)), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    os.remove(options.listen)
    os._exit(0)


main()
