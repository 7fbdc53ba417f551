"""How many predictions a second are served, against an empty ASGI application.

Run: python benchmarks/serving.py [rounds [seconds]]

A random forest of 200 trees on 30 features (the breast cancer data of scikit-learn), distinct
one-row records of JSON over 16 connections that are kept open, from a load generator in a
process of its own. In turn, round after round, against:

- echo: an ASGI application that reads the body and sends it back, on the same uvicorn (uvloop,
  httptools): what no server on it can exceed;
- scikit-learn: JSON in, ``predict_proba`` of the same forest for each request, JSON out;
- lepton: the whole server, with its token, checks of the record, tick batching, receipts.

A ratio is that of requests a second in the same round; its median is shown. On a machine that
does other work too, the ratio of processor time per request says more than that of requests a
second. Answers that are not 200 stop the benchmark.
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import uvicorn
import uvloop

from lepton_ai.core.settings import Settings
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.deployment import deploy_model
from lepton_ai.serving.process import down, up
from lepton_ai.storage import Workspace

CONNECTIONS = 16
COLUMNS = [f"f{index}" for index in range(30)]


class Caller(asyncio.Protocol):
    """One connection: sends a request, reads its answer, sends the next."""

    def __init__(self, requests: list[bytes], first: int, until: float, seconds: list[float]):
        self.requests, self.number = requests, first
        self.until, self.seconds = until, seconds
        self.buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.begin = time.perf_counter()
        self.transport.write(self.requests[self.number % len(self.requests)])
        self.number += 1

    def data_received(self, data):
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        now = time.perf_counter()
        self.seconds.append(now - self.begin)
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer.decode()))
        self.buffer = b""
        if now < self.until and not self.done.done():
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, token: str, seconds: float, bodies: list[bytes]) -> dict[str, float]:
    requests = [
        b"POST /models/forest/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (token.encode(), len(body), body)
        for body in bodies
    ]
    latencies: list[float] = []
    begin = time.perf_counter()
    loop = asyncio.get_running_loop()
    callers = [
        Caller(requests, 37 * number, begin + seconds, latencies) for number in range(CONNECTIONS)
    ]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    await asyncio.gather(*[caller.done for caller in callers])
    latencies.sort()
    return {
        "count": len(latencies),
        "rate": len(latencies) / (time.perf_counter() - begin),
        "p50": latencies[len(latencies) // 2] * 1e3,
        "p99": latencies[len(latencies) * 99 // 100] * 1e3,
    }


async def echo(scope, receive, send):
    message = await receive()
    body = message["body"]
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def learn():
    from sklearn.ensemble import RandomForestClassifier

    rows, labels = data()
    return RandomForestClassifier(200, random_state=0).fit(rows, labels)


def naive():
    forest = learn()

    async def application(scope, receive, send):
        record = msgspec.json.decode((await receive())["body"])
        chances = forest.predict_proba([[record[name] for name in COLUMNS]])
        body = msgspec.json.encode(chances[0].tolist())
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def data():
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    return bunch.data, [str(bunch.target_names[code]) for code in bunch.target]


@contextmanager
def baseline(name: str) -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        process = subprocess.Popen(
            [sys.executable, __file__, name, str(listener.fileno())],
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()[1], process.pid
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def serve(name: str, file: int) -> None:
    config = uvicorn.Config(
        echo if name == "echo" else naive(),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    uvloop.run(server.serve(sockets=[socket.socket(fileno=file)]))


def measure(server: tuple[int, int], token: str, seconds: float, bodies: Path) -> dict[str, float]:
    port, pid = server
    arguments = [sys.executable, __file__, "load", str(port), token, str(seconds), str(bodies)]
    before = psutil.Process(pid).cpu_times()
    found = json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout)
    after = psutil.Process(pid).cpu_times()
    busy = after.user + after.system - before.user - before.system
    return {**found, "cpu": busy / found.pop("count") * 1e6}


def main(rounds: int, seconds: float) -> None:
    import polars as pl

    from lepton_ai.ml.training import train_classifier

    rows, labels = data()
    with tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies.json"
        records = [dict(zip(COLUMNS, row, strict=True)) for row in rows.tolist()]
        bodies.write_text(json.dumps([json.dumps(record) for record in records]))
        settings = Settings.load(Path(folder) / "home", {**os.environ, "LEPTON_PORT": "0"})
        workspace = Workspace.open(settings=settings)
        frame = pl.DataFrame({**dict(zip(COLUMNS, rows.T, strict=True)), "label": labels})
        model = train_classifier(
            frame, target="label", name="forest", workspace=workspace, n_estimators=200
        )
        try:
            deploy_model(model)
            starts = []
            for _ in range(3):
                down(workspace)
                begin = time.perf_counter()
                server = up(workspace)
                starts.append(time.perf_counter() - begin)
            port = int(server.url.rpartition(":")[2])
            with baseline("echo") as empty, baseline("sklearn") as plain:
                (replica,) = server.replicas
                ports = {"echo": empty, "scikit-learn": plain, "lepton": (port, replica.pid)}
                token = workspace_token(workspace)
                results: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
                for name in ports:
                    measure(ports[name], token, 0.5, bodies)
                for _ in range(rounds):
                    for name in ports:
                        results[name].append(measure(ports[name], token, seconds, bodies))
            memory = psutil.Process(replica.pid).memory_info().rss
        finally:
            down(workspace)
            workspace.close()
    print(f"{'':14}{'requests/s':>12}{'of echo':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    for name, each in results.items():
        shares = [
            one["rate"] / zero["rate"] for one, zero in zip(each, results["echo"], strict=True)
        ]
        middle = {key: statistics.median(one[key] for one in each) for key in each[0]}
        print(
            f"{name:14}{middle['rate']:12,.0f}{statistics.median(shares):9.3f}"
            f"{middle['p50']:9.2f}{middle['p99']:9.2f}{middle['cpu']:9.0f}"
        )
    times = [
        o["rate"] / s["rate"]
        for o, s in zip(results["lepton"], results["scikit-learn"], strict=True)
    ]
    print(f"lepton / scikit-learn: {statistics.median(times):.0f} times")
    print(f"start until it answers: {statistics.median(starts):.2f} s (median of {len(starts)})")
    print(f"memory of the replica: {memory / 2**20:.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        given = [body.encode() for body in json.loads(Path(sys.argv[5]).read_text())]
        found = uvloop.run(load(int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), given))
        print(json.dumps(found))
    elif sys.argv[1:2] in (["echo"], ["sklearn"]):
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3, float(sys.argv[2]) if sys.argv[2:] else 1.5)
