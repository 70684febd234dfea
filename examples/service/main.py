"""A bundle behind HTTP: loaded once, bounded in requests, bytes and time, 429 when there is too much to do.

    BUNDLE=bundle python -m uvicorn main:app

POST /predict {"texts": ["transfer 100 dollars to my savings"]}
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import h11
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixkd.errors import BundleError
from mixkd.runtime import Classifier
from mixkd.runtime.threads import available_threads

BUNDLE = os.environ.get("BUNDLE", "bundle")
MAX_WAITING = int(os.environ.get("MAX_WAITING", "64"))
BODY_SECONDS = float(os.environ.get("BODY_SECONDS", "10"))
MAX_TEXTS = 32
MAX_CHARACTERS = 10_000
MAX_BODY_BYTES = 2**20
MAX_HELD_BYTES = 16 * MAX_BODY_BYTES
LINGER_SECONDS = 1.0
LINGER_BYTES = 4 * MAX_BODY_BYTES


class Question(BaseModel):
    """Some texts."""

    texts: list[Annotated[str, Field(max_length=MAX_CHARACTERS)]] = Field(min_length=1, max_length=MAX_TEXTS)


class Answer(BaseModel, from_attributes=True):
    """What one text is: the part of a `Prediction` that callers want."""

    label: str
    score: float
    truncated: bool
    abstained: bool


@dataclass(eq=False)
class Visit:
    """A request, from before its body is read until its answer is there."""

    body: bytearray = field(default_factory=bytearray)
    upload: asyncio.Timeout | None = None
    """The deadline of the body, while it is on its way."""


class Desk:
    """A classifier, as many calls at once as there are processors, and a bounded number of requests."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self._visits: dict[Visit, None] = {}  # in the order of arrival
        self._places = asyncio.Semaphore(available_threads())

    @property
    def waiting(self) -> int:
        """Requests that are inside: their body is on its way, or they wait for their answer."""
        return len(self._visits)

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Count a request as inside; 429 where there is no room."""
        if self.waiting >= MAX_WAITING:
            self._make_room()
        visit = Visit()
        self._visits[visit] = None
        try:
            yield visit
        finally:
            self._leave(visit)

    async def read(self, request: Request, visit: Visit) -> None:
        """Read the body; 408 where it is too slow, 413 where it is too large, 429 where there is no room."""
        try:
            async with asyncio.timeout(BODY_SECONDS) as visit.upload:
                async for chunk in request.stream():
                    visit.body += chunk
                    if len(visit.body) > MAX_BODY_BYTES:
                        raise HTTPException(413, f"a body has at most {MAX_BODY_BYTES} bytes")
                    while sum(len(each.body) for each in self._visits) > MAX_HELD_BYTES:
                        self._make_room()
        except TimeoutError:
            if visit in self._visits:
                raise HTTPException(408, f"the body took longer than {BODY_SECONDS:g} s") from None
        finally:
            visit.upload = None
        if visit not in self._visits:
            raise _busy()

    async def ask(self, texts: list[str], request: Request) -> list[Answer]:
        """Answer; while it waits for a processor, a request whose client has left is dropped."""
        await self._take_place(request)
        try:
            answers = await self.classifier.predict_async(texts)
        finally:
            self._places.release()
        return [Answer.model_validate(answer) for answer in answers]

    def _make_room(self) -> None:
        # A body whose client is slow, or stalls on purpose, must not keep others out: the oldest one goes.
        slowest = next((visit for visit in self._visits if visit.upload), None)
        if slowest is None or slowest.upload is None:
            raise _busy()
        self._leave(slowest)
        if not slowest.upload.expired():
            slowest.upload.reschedule(asyncio.get_running_loop().time())

    def _leave(self, visit: Visit) -> None:
        self._visits.pop(visit, None)
        visit.body.clear()

    async def _take_place(self, request: Request) -> None:
        place, left = (
            asyncio.create_task(self._places.acquire()),
            asyncio.create_task(_client_leaves(request)),
        )
        try:
            await asyncio.wait((place, left), return_when=asyncio.FIRST_COMPLETED)
            if left.done():
                raise ClientDisconnect
        except BaseException:
            if not place.cancel():  # it got the place already
                self._places.release()
            raise
        finally:
            left.cancel()


def _busy() -> HTTPException:
    return HTTPException(429, "too many requests wait: try again later", {"Retry-After": "1"})


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class UnreadBody:
    """Around an app: what a client still sends of a body when its answer is there already.

    A little of it is read and dropped, so that the client gets to read the answer. Then the connection is
    closed: what comes later would be taken for the next request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

        async def receive_and_note() -> Message:
            nonlocal unread
            message = await receive()
            unread = bool(unread and message.get("more_body"))
            return message

        async def send_after_body(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                await _drop(receive_and_note)
                if unread:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive_and_note, send_after_body)


async def _drop(receive: Receive) -> None:
    dropped, more = 0, True
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while more and dropped < LINGER_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        pass


def _log_protocol_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # On some malformed requests (a HEAD with a broken body) uvicorn fails at its own answer. asyncio closes
    # the connection then; what is left to do is to say so in a line instead of a traceback.
    if isinstance(context.get("exception"), h11.ProtocolError):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    else:
        loop.default_exception_handler(context)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load before the first request: a damaged bundle ends the process here, and nobody waits for a load."""
    # One thread a call: with many callers, calls side by side beat a call spread over the processors.
    asyncio.get_running_loop().set_exception_handler(_log_protocol_error)
    classifier = Classifier.load(BUNDLE, threads=1)
    classifier.predict("the first call is the slowest")
    app.state.desk = Desk(classifier)
    yield


# `predict` reads the body itself, so the API's description has to be told.
_BODY = {
    "requestBody": {
        "content": {"application/json": {"schema": Question.model_json_schema()}},
        "required": True,
    }
}

app = FastAPI(title="A text classifier", lifespan=lifespan)
app.add_middleware(UnreadBody)


@app.exception_handler(ClientDisconnect)
async def client_left(request: Request, error: Exception) -> JSONResponse:
    """End the request; nobody reads this."""
    return JSONResponse(None, 499)


@app.exception_handler(BundleError)
async def cannot_answer(request: Request, error: Exception) -> JSONResponse:
    """Answer 500 where the bundle fails on a text; the log says why."""
    logging.getLogger("uvicorn.error").error("%s", error)
    return JSONResponse({"detail": "the bundle can't answer this"}, 500)


@app.post("/predict", openapi_extra=_BODY)
async def predict(request: Request) -> list[Answer]:
    """Label each text, in order."""
    desk: Desk = request.app.state.desk
    with desk.visit() as visit:
        await desk.read(request, visit)
        question = read_question(request, visit.body)
        return await desk.ask(question.texts, request)


@app.get("/healthz")
async def healthz(request: Request) -> dict[str, int]:
    """Say that the process answers, and how many requests are inside; for a load balancer."""
    desk: Desk = request.app.state.desk
    return {"waiting": desk.waiting, "labels": len(desk.classifier.labels)}


def read_question(request: Request, body: bytearray) -> Question:
    """Return the question in a body; 415 or 422 where there is none, and the reason holds nothing of it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "the body must be application/json")
    try:
        return Question.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_input=False, include_context=False, include_url=False)
        raise HTTPException(422, details[:MAX_TEXTS]) from None
