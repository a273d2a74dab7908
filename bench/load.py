"""Fills a control plane with the made-up fleet, straight through the API, several requests at a time."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from bench import fleet
from bench.workload import Object
from tests.testbed.client import ApiError, Client

_THREADS = 6
_SERVER_SETS = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


def load_namespaces(client: Client) -> None:
    """Makes the Namespaces that the fleet lives in."""
    for item in fleet.namespaces():
        _create(client, item)


def load_pods(client: Client, *, first: int, last: int, seed: int, unlike: bool = False) -> None:
    """Makes the Pods number `first` up to but without `last` of the fleet, with their status."""
    pods = (fleet.unlike_pods if unlike else fleet.pods)(last, seed)
    _in_parallel(islice(pods, first, None), lambda item: _create_with_status(client, item))


def load_others(client: Client, *, services: int, ingresses: int, seed: int) -> None:
    """Makes Services and Ingresses."""
    _in_parallel(fleet.services(services, seed), lambda item: _create(client, item))
    _in_parallel(fleet.ingresses(ingresses, seed), lambda item: _create(client, item))


def _create_with_status(client: Client, item: Object) -> None:
    """Creates a Pod, then writes its status, which a create ignores. Two requests, as in life."""
    path = _create(client, item)
    status, answer = client.raw("PUT", f"{path}/status", json.dumps(_bare(item)).encode())
    _check("PUT", f"{path}/status", status, answer)


def _create(client: Client, item: Object) -> str:
    """Creates an object and returns its path."""
    collection = client.collection(item["apiVersion"], item["kind"], item["metadata"].get("namespace"))
    status, answer = client.raw("POST", collection, json.dumps(_bare(item)).encode())
    if status != 409:
        _check("POST", collection, status, answer)
    return f"{collection}/{item['metadata']['name']}"


def _bare(item: Object) -> Object:
    """An object without what only the server may set."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _SERVER_SETS}
    bare = item | {"metadata": metadata}
    if item["kind"] == "Pod":
        bare["spec"] = {key: value for key, value in item["spec"].items() if key != "ephemeralContainers"}
    elif item["kind"] == "Service":
        bare["spec"] = {key: value for key, value in item["spec"].items() if key not in ("clusterIP", "clusterIPs")}
    return bare


def _check(method: str, path: str, status: int, answer: bytes) -> None:
    if status >= 400:
        raise ApiError(method, path, status, answer.decode(errors="replace"))


def _in_parallel(items: Iterable[Object], work: Callable[[Object], object]) -> None:
    """Calls `work` for every item on a few threads; few items wait at a time; the first error ends it."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: set[Future[None]] = set()
        for batch in _batches(items, 20):
            waiting.add(pool.submit(_each, batch, work))
            if len(waiting) >= 2 * _THREADS:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in waiting:
            each.result()


def _each(batch: list[Object], work: Callable[[Object], object]) -> None:
    for item in batch:
        work(item)


def _batches(items: Iterable[Object], size: int) -> Iterator[list[Object]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
