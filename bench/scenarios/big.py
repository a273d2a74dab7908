"""Big objects at admission: the answer to each comes in time and is right, and many at once take little memory."""

import http.client
import itertools
import json
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench import webhooks
from bench.big import LARGEST, Answered, Big, container, extremes, generated, pod
from bench.measure import SAMPLE_SECONDS, CommandFailed, resident, tree
from bench.results import MEBIBYTE, Goal, Section, Table, at_most
from bench.setting import Setting
from bench.webhooks import Webhook
from tests.testbed.controlplane import ControlPlane

#: Half of what the API server waits.
_GOAL_SECONDS = 1.5
_GENERATED = 100
_TOGETHER = (1, 4, 8)
#: For how long no check-in may have been seen: one begins up to a second after what is the reason for it.
_ALONE_SECONDS = 3.0


@dataclass(kw_only=True)
class _Runs:
    """What came of one object, asked about several times. ``silent``: answers that were an error, not a review."""

    size: int = 0
    seconds: list[float] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    silent: int = 0

    def add(self, other: "_Runs") -> None:
        """Take these runs for those of one object."""
        self.size = max(self.size, other.size)
        self.seconds += other.seconds
        self.answers += other.answers
        self.wrong += other.wrong
        self.silent += other.silent

    @property
    def unjudged(self) -> int:
        return self.silent + sum(bool(one.unjudged) for one in self.answers)


def run(setting: Setting) -> Section:
    """One object after the other, then several of the largest at once; an empty section without aksp."""
    if not setting.aksp:
        return Section(title="Big objects", notes=("aksp is not installed beside this interpreter: not measured.",))
    quick = setting.pods < 10_000
    with ControlPlane(controllers=None) as plane, webhooks.aksp(plane, setting.scratch) as webhook:
        _until_it_refuses(webhook)
        _until_alone(webhook)
        with _Memory(webhook) as memory:
            runs = {big.name: _asked(webhook, big, setting.repetitions) for big in extremes()}
            drawn = _Runs()
            for big in itertools.islice(generated(setting.seed), _GENERATED // (10 if quick else 1)):
                drawn.add(_asked(webhook, big, 1))
        together = [_at_once(webhook, count) for count in _TOGETHER]
        checking = _while_it_checks_in(plane, webhook)
    named = {**runs, f"{len(drawn.seconds)} drawn": drawn}
    return Section(
        title="Big objects",
        notes=(
            (
                "Reviews of objects as large as an API server takes them (`bench/big.py`), as it writes them, one at a "
                "time over TLS to `aksp addon run` with the nine policies and `--unjudged warn`. Right is an answer in "
                "which every policy decided as it must, or said that it could not judge. Then several reviews of "
                "19 MiB at once; memory is that of all its processes, sampled all the while (VmRSS). A check-in is a "
                "process of its own with an engine of its own, and so comes on top while it lasts: it is measured apart."
            ),
        ),
        tables=(_table(named), _memory_table([*together, checking])),
        goals=tuple(_goals(runs, drawn, together, memory.peak)),
    )


def _table(runs: dict[str, _Runs]) -> Table:
    rows = tuple(
        (
            name,
            f"{each.size / MEBIBYTE:.1f}",
            str(len(each.seconds)),
            f"{max(each.seconds):.2f}",
            str(sum(not one.allowed for one in each.answers)),
            str(each.unjudged),
            "; ".join(sorted(set(each.wrong))) or "none",
        )
        for name, each in runs.items()
    )
    header = ("", "review (MiB)", "runs", "largest answer time (s)", "refused", "with something unjudged", "wrong")
    return Table(caption="One at a time", header=header, rows=rows)


def _memory_table(found: "Sequence[_Together]") -> Table:
    rows = tuple(
        (
            f"{one.count}{one.beside}",
            f"{max(one.runs.seconds):.2f}",
            str(one.runs.unjudged),
            f"{one.peak / MEBIBYTE:.0f}",
        )
        for one in found
    )
    header = ("reviews of 19 MiB at once", "largest answer time (s)", "unjudged", "peak memory (MiB)")
    return Table(caption="Together", header=header, rows=rows)


def _goals(runs: dict[str, _Runs], drawn: _Runs, together: "Sequence[_Together]", peak: int) -> list[Goal]:
    every = [*runs.values(), drawn]
    largest = max(seconds for each in every for seconds in each.seconds)
    alike = sum(len(set(each.answers)) > 1 for each in runs.values())
    first = next(iter(runs.values()))
    return [
        at_most("big objects: largest answer time", largest, _GOAL_SECONDS, "s"),
        at_most("big objects: wrong answers", sum(len(each.wrong) for each in every), 0, "of all"),
        at_most(
            "big objects: 8,000 forbidden init containers, admitted",
            sum(one.allowed for one in first.answers),
            0,
            "times",
        ),
        at_most("big objects: answers that differ from one run to the next", alike, 0, "objects"),
        at_most("big objects: memory, one at a time", peak / MEBIBYTE, 200, "MiB"),
        *(
            at_most(f"big objects: memory with {one.count} reviews of 19 MiB at once", one.peak / MEBIBYTE, 200, "MiB")
            for one in together
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class _Together:
    count: int
    runs: _Runs
    peak: int
    beside: str = ""


def _largest() -> Big:
    text = "<" * (LARGEST - 60_000)
    one = container("c", "no-privileged", env=[{"name": "V", "value": text}])
    return Big(name="largest", object=pod([one]), bad=frozenset({"no-privileged"}))


def _while_it_checks_in(plane: ControlPlane, webhook: Webhook) -> _Together:
    """Ask about the largest object again and again until a check-in has come and gone."""
    path = "/apis/policy.aksp.io/v1alpha1/policyassignments"
    name = plane.request("GET", path)["items"][0]["metadata"]["name"]
    plane.request("PATCH", f"{path}/{name}", {"spec": {"description": "again"}}, "application/merge-patch+json")
    big, runs = _largest(), _Runs()
    body = big.review()
    deadline = time.monotonic() + 60
    with _Memory(webhook) as memory:
        while not (memory.checked_in and memory.alone):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{webhook.name} does not check in:\n{webhook.process.tail()}")
            _ask(webhook, big, body, runs)
    return _Together(count=1, runs=runs, peak=memory.peak, beside=" after the other, and a check-in")


def _at_once(webhook: Webhook, count: int) -> _Together:
    """Ask about so many of the largest objects at once, each of them forbidden."""
    big = _largest()
    runs = [_Runs() for _ in range(count)]
    body = big.review()
    with _Memory(webhook) as memory:
        asking = [threading.Thread(target=_ask, args=(webhook, big, body, each)) for each in runs]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    all_of_them = _Runs()
    for each in runs:
        all_of_them.add(each)
    return _Together(count=count, runs=all_of_them, peak=memory.peak)


class _Memory:
    """The most memory that a webhook's processes held together meanwhile, in bytes; and whether a check-in was, or is, one of them."""

    def __init__(self, webhook: Webhook) -> None:
        self.peak = 0
        self.checked_in = False
        self.alone = True
        self._pid = webhook.pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, resident(self._pid))
            self.alone = _is_alone(self._pid)
            self.checked_in = self.checked_in or not self.alone


def _asked(webhook: Webhook, big: Big, times: int) -> _Runs:
    runs = _Runs()
    body = big.review()
    for _ in range(times):
        _ask(webhook, big, body, runs)
    return runs


def _ask(webhook: Webhook, big: Big, body: bytes, into: _Runs) -> None:
    address = urlsplit(webhook.url)
    trust = ssl.create_default_context(cafile=str(webhook.ca))
    connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=trust, timeout=30)
    try:
        connection.connect()
        began = time.monotonic()
        connection.request("POST", f"{address.path}?timeout=3s", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        into.seconds.append(time.monotonic() - began)
    except (OSError, http.client.HTTPException) as error:
        raise CommandFailed(f"{webhook.name}: {big.name}: {error}") from error
    finally:
        connection.close()
    into.size = len(body)
    if answer.status != 200:
        into.silent += 1
        return
    found = Answered.of(json.loads(text)["response"])
    into.answers.append(found)
    if problem := found.wrong(big):
        into.wrong.append(problem)


def _is_alone(pid: int) -> bool:
    """Whether there are but the add-on and its engine: no check-in."""
    return len(list(tree(pid))) <= 2


def _until_alone(webhook: Webhook) -> None:
    """Wait until no check-in runs beside it, and none is due."""
    deadline = time.monotonic() + 60
    since = time.monotonic()
    while time.monotonic() - since < _ALONE_SECONDS:
        if not _is_alone(webhook.pid):
            since = time.monotonic()
        if time.monotonic() > deadline:
            raise CommandFailed(f"{webhook.name} checks in without end:\n{webhook.process.tail()}")
        time.sleep(0.05)


def _until_it_refuses(webhook: Webhook) -> None:
    """Wait until all policies about Pods are loaded."""
    bad = ("allowed-images", "allowed-container-ports", "no-privileged", "resource-limits")
    small = Big(
        name="small", object=pod([container("c", *bad)], labels={"a": "b"}), bad=frozenset({*bad, "required-labels"})
    )
    deadline = time.monotonic() + 60
    while _asked(webhook, small, 1).wrong:
        if time.monotonic() > deadline:
            raise CommandFailed(f"{webhook.name} does not refuse:\n{webhook.process.tail()}")
        time.sleep(0.2)
