"""Which HTTP server carries the add-on's webhook: `python bench/servers.py [--seconds 5] [--only uvicorn,granian]`.

Each serves the same application over TLS to 8 connections of the same client: it reads a body of 5 KB, computes
for about 0.1 ms, as a review by the engine costs, and answers 300 bytes. One server process with one event loop, as a
replica is; server and client share the machine. The servers come from the package index into a virtual environment
that is removed at the end; `aksp` is the add-on's own listener, without ASGI, and needs only aksp's own dependencies. The figures are not all: aksp/addon/webhook/server.py has what else counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aksp.addon.webhook import certificates  # noqa: E402 - ROOT comes first

CONNECTIONS = 8
WORK_SECONDS = 0.0001
BODY = b"x" * 5_000
ANSWER = b"y" * 300
REQUEST = (
    b"POST /v1/admit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(BODY)
) + BODY
PACKAGES = ("uvicorn", "httptools", "uvloop", "hypercorn", "granian", "cryptography")
#: How each is started; {port}, {crt} and {key} are filled in.
COMMANDS: Mapping[str, str] = {
    "aksp": "python bench/servers.py --serve {port} --crt {crt} --key {key}",
    "uvicorn": "python -m uvicorn bench.servers:app --port {port} --ssl-certfile {crt} --ssl-keyfile {key} --loop uvloop"
    " --http httptools --no-access-log --log-level warning --lifespan off",
    "hypercorn": "python -m hypercorn bench.servers:app --bind 127.0.0.1:{port} --certfile {crt} --keyfile {key}"
    " --worker-class uvloop --log-level warning --config {toml}",
    "granian": "python -m granian bench.servers:app --interface asginl --port {port} --ssl-certificate {crt}"
    " --ssl-keyfile {key} --loop uvloop --workers 1 --http 1 --no-access-log --log-level warning",
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application that every server runs, by ASGI."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    status = _worked(size)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


async def _ours(exchange: Any) -> None:
    """The same by the add-on's own listener."""
    size = 0
    while part := await exchange.read():
        size += len(part)
    exchange.answer(_worked(size), ANSWER, b"application/json")


def _worked(size: int) -> int:
    """The status for a body of this size, after some work."""
    until = time.perf_counter() + WORK_SECONDS
    while time.perf_counter() < until:
        pass
    return 200 if size == len(BODY) else 400


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure HTTP servers for the webhook.")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured for each server (default: 5)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured, in turn (default: 1)")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(COMMANDS)}")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--crt", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--key", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve, certificates.Pair(certificate=options.crt.read_bytes(), key=options.key.read_bytes()))
        return 0
    names = options.only.split(",") if options.only else list(COMMANDS)
    if unknown := set(names) - COMMANDS.keys():
        parser.error(f"--only: no server {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}")
    with tempfile.TemporaryDirectory(prefix="aksp-servers-") as scratch:
        python = _environment(Path(scratch) / "venv")
        print(f"{'server':<10} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'RSS MB':>8}", flush=True)
        for _ in range(options.rounds):
            for name in names:
                print(_measured(name, python, Path(scratch), options.seconds), flush=True)
    return 0


def _environment(folder: Path) -> Path:
    """A virtual environment with the servers; its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def _measured(name: str, python: Path, scratch: Path, seconds: float) -> str:
    now = datetime.now(UTC)
    authority = certificates.make_authority(now)
    serving = certificates.issue(authority, ["localhost", "127.0.0.1"], now)
    files = {"crt": scratch / "tls.crt", "key": scratch / "tls.key", "toml": scratch / "hypercorn.toml"}
    # Hypercorn closes a connection after 1,000 requests otherwise; the others do not.
    files["toml"].write_text("keep_alive_max_requests = 1000000000\n")
    files["crt"].write_bytes(serving.certificate)
    files["key"].write_bytes(serving.key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = shlex.split(COMMANDS[name].format(port=port, **files))
    server = subprocess.Popen([python, *command[1:]], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        trust = ssl.create_default_context(cadata=authority.certificate.decode())
        latencies, took = asyncio.run(_load(port, trust, seconds))
        memory = _memory(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    p50, p99 = (1000 * latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    return f"{name:<10} {len(latencies) / took:>10.0f} {p50:>8.2f} {p99:>8.2f} {memory:>8.0f}"


async def _load(port: int, trust: ssl.SSLContext, seconds: float) -> tuple[Sequence[float], float]:
    """The time of each request in seconds, sorted, and of all together; a second of warming up comes first."""
    streams = [await _connected(port, trust) for _ in range(CONNECTIONS)]
    for each in (1.0, seconds):
        began = time.perf_counter()
        found = await asyncio.gather(*(_ask(*stream, until=began + each) for stream in streams))
        took = time.perf_counter() - began
    for _, writer in streams:
        writer.transport.abort()
    return sorted(latency for one in found for latency in one), took


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, until: float) -> list[float]:
    latencies = []
    while (began := time.perf_counter()) < until:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(len(ANSWER))
        latencies.append(time.perf_counter() - began)
    return latencies


async def _connected(port: int, trust: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(200):
        try:
            return await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
        except OSError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def _memory(pid: int) -> float:
    """Resident memory of a process and its children, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = Path(f"/proc/{pid}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return own / 1000 + sum(_memory(int(child)) for child in children)


def _serve(port: int, pair: certificates.Pair) -> None:
    from aksp.addon.webhook.protocol import Limits
    from aksp.addon.webhook.server import Listener, loop_factory, serve
    from aksp.addon.webhook.tls import server_context

    context = server_context(pair)

    async def run() -> None:
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        listener = Listener(app=_ours, address=("127.0.0.1", port), context=lambda: context)
        await serve([listener], limits=Limits(shutdown_delay=0), stopping=stopping)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run())


if __name__ == "__main__":
    sys.exit(main())
