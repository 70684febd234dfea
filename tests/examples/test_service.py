"""The service example under a real uvicorn on loopback."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.examples.conftest import Answers
from tests.examples.service import running_service

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MAX_WAITING = 4
BATCH = 25


@pytest.fixture(scope="module")
def service(student_bundle: Path) -> Iterator[httpx.Client]:
    with (
        running_service(student_bundle, max_waiting=MAX_WAITING) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def test_service_gives_pythons_labels(service: httpx.Client, answers: Answers) -> None:
    found: list[str] = []
    for start in range(0, len(answers.texts), BATCH):
        reply = service.post("/predict", json={"texts": answers.texts[start : start + BATCH]})
        reply.raise_for_status()
        found += [answer["label"] for answer in reply.json()]
    assert found == answers.labels


@pytest.mark.parametrize(
    ("texts", "status"),
    [
        pytest.param([], 422, id="none"),
        pytest.param([7], 422, id="no text"),
        pytest.param(["pay"] * 33, 422, id="too many"),
        pytest.param(["x" * 10_001], 422, id="too long"),
        pytest.param(["x" * 10_000] * 32, 200, id="just right"),
        pytest.param(["x" * 2**20], 413, id="too large a body"),
    ],
)
def test_service_limits_what_a_request_may_hold(
    service: httpx.Client, texts: list[object], status: int
) -> None:
    assert service.post("/predict", json={"texts": texts}).status_code == status


def test_service_stops_reading_a_body_without_end(service: httpx.Client) -> None:
    endless = (b"x" * 2**16 for _ in range(2**10))
    try:
        status = service.post("/predict", content=endless).status_code
    except httpx.WriteError:  # it hung up before all was sent
        return
    assert status == 413


def test_service_refuses_at_once_what_it_can_not_hold_and_loses_nothing(
    service: httpx.Client, answers: Answers
) -> None:
    batches = [(answers.texts[i : i + BATCH], answers.labels[i : i + BATCH]) for i in range(0, 1000, BATCH)]

    async def flood() -> tuple[list[httpx.Response], int]:
        async with httpx.AsyncClient(base_url=service.base_url, timeout=60) as client:
            posts = [
                asyncio.create_task(client.post("/predict", json={"texts": texts})) for texts, _ in batches
            ]
            await asyncio.sleep(0)
            health = await client.get("/healthz")
            health.raise_for_status()
            return list(await asyncio.gather(*posts)), health.json()["waiting"]

    replies, waiting = asyncio.run(flood())
    assert waiting <= MAX_WAITING
    statuses = Counter(reply.status_code for reply in replies)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= MAX_WAITING
    for reply, (_, labels) in zip(replies, batches, strict=True):
        if reply.status_code == 429:
            assert reply.headers["retry-after"] == "1"
        else:
            assert [answer["label"] for answer in reply.json()] == labels
    # Once the flood is over it answers again.
    assert service.post("/predict", json={"texts": ["pay"]}).status_code == 200
