"""peer.py inspects ID COUNT AT_ONCE | cycles IMAGE COUNT AT_ONCE | follow ID

The same work by docker-py, with a connection for each thread: inspects and the log by its low-level client, which is
the faster one, containers as objects, as ours are. Prints the seconds from the first request on: the time that Python
and its imports take to start is not counted.
"""
# SPDX-License-Identifier: MIT
import concurrent.futures
import os
import sys
import time

import docker


def inspects(client, container, count, at_once):
    with concurrent.futures.ThreadPoolExecutor(int(at_once)) as pool:
        for answer in pool.map(lambda _: client.api.inspect_container(container), range(int(count))):
            assert answer["Id"] == container


def cycles(client, image, count, at_once):
    def cycle(number):
        container = client.containers.create(image, ["echo", f"hello {number}"], name=f"peer-{number}")
        container.start()
        assert container.wait()["StatusCode"] == 0
        assert container.logs().decode() == f"hello {number}\n"
        container.remove()

    with concurrent.futures.ThreadPoolExecutor(int(at_once)) as pool:
        list(pool.map(cycle, range(int(count))))


def follow(client, container):
    lines = 0
    for chunk in client.api.logs(container, stream=True, follow=True):
        lines += chunk.count(b"\n")
    assert lines > 0


def main():
    client = docker.DockerClient(os.environ["DOCKER_HOST"], timeout=600, max_pool_size=32, version="auto")
    start = time.monotonic()
    {"inspects": inspects, "cycles": cycles, "follow": follow}[sys.argv[1]](client, *sys.argv[2:])
    print(time.monotonic() - start)


main()
