"""The service example under a real uvicorn, attacked over sockets: it goes on answering, and stays small."""

import json
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest

from mixkd.runtime.bundle import open_bundle, seal_bundle
from mixkd.runtime.manifest import FP32_FILE, Precision
from tests.examples.conftest import FIXTURE
from tests.examples.odd_requests import odd_requests
from tests.examples.service import Service, running_service
from tests.examples.strange import copy_fixture

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MAX_WAITING = 64
BODY_SECONDS = 3
UPLOADS = 400
LEAVERS = 200
CONNECTIONS = 600
SEED = 3
SECRET = "swordfish"
JSON = {"Content-Type": "application/json"}
HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PART_BYTES = 50_000
HELD_BYTES = 16 * 2**20
GROWTH_BYTES = 128 * 2**20
"""The slow bodies are 340 MiB; the service holds 16, and uvicorn what comes from each connection at once."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(FIXTURE, max_waiting=MAX_WAITING, body_seconds=BODY_SECONDS) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def _honest_client_is_answered_afterwards(service: Service, client: httpx.Client) -> Iterator[None]:
    yield
    reply = client.post("/predict", json={"texts": ["send my money to the account"]})
    assert (reply.status_code, reply.json()[0]["label"]) == (200, "transfer")
    assert client.get("/healthz").json()["waiting"] == 0
    assert "Traceback" not in service.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(rb'{"texts": ["\ud800 %s"]}', id="lone surrogate"),
        pytest.param(rb'{"texts": ["%s \udc00"]}', id="lone low surrogate"),
        pytest.param(rb'{"texts": ["%s", NaN]}', id="nan"),
        pytest.param(rb'{"texts": ["%s", 1e999]}', id="infinite"),
        pytest.param(rb'{"%s": [1]}', id="other key"),
        pytest.param(rb'["%s"]', id="list"),
        pytest.param(rb'"%s"', id="text"),
        pytest.param(rb"NaN", id="bare nan"),
        pytest.param(rb"1e999", id="bare infinite"),
        pytest.param(rb"", id="empty"),
        pytest.param(rb"%s", id="no json"),
        pytest.param(rb'{"texts": [{"%s": "%s"}]}', id="object for text"),
        pytest.param(rb'{"texts": "%s"}', id="text for list"),
        pytest.param(b'{"texts": ["%s \xff\xfe"]}', id="no utf-8"),
        pytest.param(b'\xef\xbb\xbf{"texts": ["%s"]}', id="byte order mark"),
        pytest.param(b"[" * 100_000 + b'"%s"', id="deep"),
        pytest.param(b'{"texts": %s' + b"9" * 100_000 + b"}", id="long number"),
        pytest.param(b'{"texts": [' + b'"%s", ' * 20_000 + b'"%s"]}', id="many texts"),
        pytest.param(b'{"texts": [' + b"0," * 300_000 + b'"%s"]}', id="many numbers"),
    ],
)
def test_service_refuses_a_wrong_body_and_repeats_nothing_of_it(client: httpx.Client, body: bytes) -> None:
    reply = client.post("/predict", content=body.replace(b"%s", SECRET.encode()), headers=JSON)
    assert reply.status_code == 422
    assert json.loads(reply.text)["detail"]
    assert SECRET not in reply.text
    assert len(reply.content) < 10_000


def test_service_ignores_a_value_that_it_does_not_read(client: httpx.Client) -> None:
    body = b'{"texts": ["pay"], "more": [NaN, 1e999]}'
    assert client.post("/predict", content=body, headers=JSON).status_code == 200


def test_service_takes_json_alone(client: httpx.Client) -> None:
    # Forms and text/plain are what a foreign web page may send without asking first.
    assert client.post("/predict", content=b'{"texts": ["pay"]}').status_code == 415


def test_slow_uploads_end_stay_small_and_keep_nobody_out(service: Service, client: httpx.Client) -> None:
    before = most = service.process.memory_info().rss
    body = json.dumps({"texts": ["x" * 9_000] * 100}).encode()
    with ExitStack() as opened:
        uploads = [opened.enter_context(service.connect()) for _ in range(UPLOADS)]
        for upload in uploads:
            upload.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body) - PART_BYTES, PART_BYTES):
            for upload in uploads:
                _send_what_it_takes(upload, body[start : start + PART_BYTES])
            most = max(most, service.process.memory_info().rss)
            assert client.get("/healthz").json()["waiting"] <= MAX_WAITING
            # The oldest upload gives up its place.
            assert client.post("/predict", json={"texts": ["pay"]}).status_code == 200
        statuses = [_status(upload) for upload in uploads]  # each waits until its connection is closed
        most = max(most, service.process.memory_info().rss)
    assert {408, 429} <= set(statuses) <= {408, 429, None}
    # Those that were inside at the end; a socket that was slow for a moment may have sent less than all.
    assert statuses.count(408) * len(body) < 2 * HELD_BYTES
    assert most - before < GROWTH_BYTES


def test_upload_that_stalls_is_ended_at_the_deadline(service: Service) -> None:
    with service.connect() as upload:
        upload.sendall(f'{HEAD}Content-Length: 1000\r\n\r\n{{"texts": ["pay'.encode())
        assert _status(upload) == 408


def test_upload_in_small_parts_is_answered(service: Service) -> None:
    body = b'{"texts": ["send my money to the account"]}'
    with service.connect() as upload:
        upload.sendall(f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            upload.sendall(bytes([byte]))
            time.sleep(0.01)
        assert _status(upload) == 200


def test_client_that_leaves_in_the_middle_of_its_body_takes_no_place(
    service: Service, client: httpx.Client
) -> None:
    for _ in range(LEAVERS):
        with service.connect() as leaver:
            leaver.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nhalf".encode())
    assert client.post("/predict", json={"texts": ["pay"]}).status_code == 200


def test_work_of_clients_that_left_is_dropped(service: Service, client: httpx.Client) -> None:
    body = json.dumps({"texts": [" ".join(["pay"] * 2_000)] * 32}).encode()
    request = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    start = _processor_seconds(service)
    for _ in range(MAX_WAITING):
        client.post("/predict", content=body, headers=JSON).raise_for_status()
    answering = _processor_seconds(service) - start
    for _ in range(LEAVERS):
        with service.connect() as leaver:
            leaver.sendall(request)
    client.post("/predict", json={"texts": ["pay"]}).raise_for_status()
    while client.get("/healthz").json()["waiting"]:
        time.sleep(0.05)
    dropping = _processor_seconds(service) - start - answering
    assert dropping < answering / 2


def test_no_request_makes_a_500_or_a_traceback(service: Service) -> None:
    chance = random.Random(SEED)
    for number in range(CONNECTIONS):
        answer = b""
        with service.connect() as connection, suppress(ConnectionError):
            connection.sendall(odd_requests(chance))
            if chance.random() < 0.5:
                continue
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(2**16):
                answer += part
        assert b"HTTP/1.1 5" not in answer, number


def test_bundle_that_fails_on_a_text_is_one_line_in_the_log(tmp_path: Path) -> None:
    with (
        running_service(_bundle_without_rain(tmp_path / "bundle")) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        assert client.post("/predict", json={"texts": ["pay"]}).status_code == 200
        reply = client.post("/predict", json={"texts": ["pay", f"pay pay rain {SECRET}"]})
        log = service.log.read_text(encoding="utf-8")
    assert (reply.status_code, reply.json()) == (500, {"detail": "the bundle can't answer this"})
    assert "gives NaN or infinity" in log
    assert SECRET not in log
    assert log.count("\n") == 1


def _bundle_without_rain(folder: Path) -> Path:
    """Return a bundle whose weights are finite, but whose sum overflows where "rain" is the third word."""
    copy_fixture(folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    graph = onnx.load(folder / FP32_FILE)
    for name, row in (("word_embeddings", vocabulary["rain"]), ("position_embeddings", 3)):
        (table,) = (each for each in graph.graph.initializer if f".{name}." in each.name)
        values = onnx.numpy_helper.to_array(table).copy()
        values[row] = np.finfo(np.float32).max
        table.CopyFrom(onnx.numpy_helper.from_array(values, table.name))
    onnx.save(graph, folder / FP32_FILE)
    manifest = open_bundle(FIXTURE).manifest
    seal_bundle(folder, replace(manifest, model_file=FP32_FILE, precision=Precision.FP32))
    return folder


def _send_what_it_takes(upload: socket.socket, data: bytes) -> None:
    upload.settimeout(0.01)
    with suppress(OSError):  # the service has hung up, or reads no more for now
        upload.send(data)


def _status(upload: socket.socket) -> int | None:
    """Return the status of the answer once the service has closed the connection; None where it is lost."""
    upload.settimeout(60)
    answer = b""
    with suppress(ConnectionError):
        while data := upload.recv(2**16):
            answer += data
    return int(answer.split()[1]) if answer else None


def _processor_seconds(service: Service) -> float:
    times = service.process.cpu_times()
    return float(times.user + times.system)
