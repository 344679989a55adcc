"""peer.py apply FILE NAMESPACE | list NAMESPACE | first | idle

The same work by the Python client for Kubernetes, with its generated API: eight threads apply, lists come in pages of
500 as Python objects. Prints what the recipe of that name prints.
"""
# SPDX-License-Identifier: MIT
import concurrent.futures
import sys

import kubernetes
import yaml

AT_ONCE = 8
PAGE = 500


def apply(core, file, namespace):
    def one(value):
        core.patch_namespaced_config_map(value["metadata"]["name"], namespace, value, field_manager="peer",
                                         _content_type="application/apply-patch+yaml")

    with open(file) as text, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return len(list(pool.map(one, yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))))


def list_pods(core, namespace):
    items, token = [], None
    while token != "":
        page = core.list_namespaced_pod(namespace, limit=PAGE, _continue=token)
        items += page.items
        token = page.metadata._continue or ""
    return len(items)


def first(core):
    return core.read_namespace("default").metadata.name


def idle(core):
    """It has no lasting watch, but one that ends: from now on, without what there is."""
    version = core.list_pod_for_all_namespaces(limit=1).metadata.resource_version
    print("sync", flush=True)
    watch = kubernetes.watch.Watch()
    for event in watch.stream(core.list_pod_for_all_namespaces, resource_version=version, timeout_seconds=300):
        print(event["object"].metadata.name, flush=True)


kubernetes.config.load_kube_config()
print({"apply": apply, "list": list_pods, "first": first, "idle": idle}[sys.argv[1]](kubernetes.client.CoreV1Api(),
                                                                                     *sys.argv[2:]))
