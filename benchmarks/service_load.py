"""The service example under load: how long callers wait, and that none of them is forgotten.

    python benchmarks/service_load.py BUNDLE [--output benchmarks/service_load.json]

Requests of one text each come at random moments, of a given rate, whether or not earlier ones are answered;
a wait counts from the moment a request was due. Each rate runs for some seconds; the last one is more than
the service can do. The caller is a process of the same machine and takes its share of it.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tests.examples.service import HOST, running_service

from mixkd.bench.drive.environment import read_environment
from mixkd.corpus.corpus import open_corpus
from mixkd.runtime import Classifier

RATES = (25, 50, 100, 200, 400)
SECONDS = 20.0
WARM_UP = 100
MAX_WAITING = 64
PATIENCE_S = 30
SEED = 5


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per rate")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    corpus = open_corpus(arguments.data)
    texts = [example.text for example in corpus.read(corpus.evaluation_split())]
    labels = [answer.label for answer in Classifier.load(arguments.bundle).predict(texts)]
    expected = dict(zip(texts, labels, strict=True))
    with running_service(arguments.bundle, max_waiting=MAX_WAITING) as service:
        rates = [asyncio.run(load(service.port, expected, rate, arguments.seconds)) for rate in RATES]
    found = {"max_waiting": MAX_WAITING, "rates": rates, "environment": asdict(read_environment())}
    arguments.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    for row in rates:
        p50, p99 = np.quantile(row["answered_ms"], (0.5, 0.99))
        print(
            f"{row['per_second']:4} a second: p50 {p50:6.1f} ms, p99 {p99:6.1f} ms; {row['sent']} sent, "
            f"{row['right']} right, {row['refused']} refused, {row['lost']} lost"
        )


async def load(port: int, expected: dict[str, str], per_second: int, seconds: float) -> dict[str, Any]:
    """Send texts at a rate and return what became of each."""
    chance, texts = random.Random(SEED), list(expected)
    caller = Caller(port)
    for text in texts[:WARM_UP]:
        await caller.ask(text, expected[text], time.perf_counter())
    start = due = time.perf_counter()
    calls = []
    while due < start + seconds:
        due += chance.expovariate(per_second)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        text = chance.choice(texts)
        calls.append(asyncio.create_task(caller.ask(text, expected[text], due)))
    ends = await asyncio.gather(*calls)
    counts = Counter(end for end, _ in ends)
    return {
        "per_second": per_second,
        "sent": len(calls),
        **{end: counts[end] for end in ("right", "wrong", "refused", "lost")},
        "answered_ms": [round(waited, 2) for end, waited in ends if end == "right"],
        "refused_ms": [round(waited, 2) for end, waited in ends if end == "refused"],
    }


class Caller:
    """Just enough HTTP: a client library would take more of the processor than the service does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, text: str, label: str, due: float) -> tuple[str, float]:
        """Return how a request ended, and the milliseconds since it was due."""
        try:
            status, body = await asyncio.wait_for(self._post({"texts": [text]}), PATIENCE_S)
        except (OSError, EOFError, TimeoutError):
            return "lost", (time.perf_counter() - due) * 1000
        waited_ms = (time.perf_counter() - due) * 1000
        if status in {429, 503}:  # by the service, or by uvicorn's own limit of connections
            return "refused", waited_ms
        right = status == 200 and json.loads(body)[0]["label"] == label
        return "right" if right else "wrong", waited_ms

    async def _post(self, question: dict[str, Any]) -> tuple[int, bytes]:
        # The server closes a connection that was idle for five seconds, maybe just now: as every HTTP
        # client does, ask once more on a new one.
        while self._idle:
            try:
                return await self._exchange(*self._idle.pop(), question)
            except (OSError, EOFError):
                continue
        return await self._exchange(*await asyncio.open_connection(HOST, self._port), question)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: dict[str, Any]
    ) -> tuple[int, bytes]:
        body = json.dumps(question).encode()
        head = f"POST /predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = await reader.readexactly(length)
        self._idle.append((reader, writer))
        return int(answer.split()[1]), content


if __name__ == "__main__":
    main()
