"""A bundle behind HTTP: loaded once, bounded in every direction, 429 when there is too much to do.

    BUNDLE=bundle uvicorn main:app

POST /predict {"texts": ["transfer 100 dollars to my savings"]}
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from mixkd.runtime import Classifier
from mixkd.runtime.threads import available_threads

BUNDLE = os.environ.get("BUNDLE", "bundle")
MAX_WAITING = int(os.environ.get("MAX_WAITING", "64"))
MAX_TEXTS = 32
MAX_CHARACTERS = 10_000
MAX_BODY_BYTES = 2**20


class Question(BaseModel):
    """Some texts."""

    texts: list[Annotated[str, Field(max_length=MAX_CHARACTERS)]] = Field(min_length=1, max_length=MAX_TEXTS)


class Answer(BaseModel, from_attributes=True):
    """What one text is: the part of a `Prediction` that callers want."""

    label: str
    score: float
    truncated: bool
    abstained: bool


class Desk:
    """A classifier, as many calls at once as there are processors, and a queue that ends."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.waiting = 0
        self._places = asyncio.Semaphore(available_threads())

    async def ask(self, texts: list[str]) -> list[Answer]:
        """Answer, or refuse at once where too many wait already."""
        if self.waiting >= MAX_WAITING:
            raise HTTPException(429, "too many requests wait: try again later", {"Retry-After": "1"})
        self.waiting += 1
        try:
            async with self._places:
                answers = await self.classifier.predict_async(texts)
        finally:
            self.waiting -= 1
        return [Answer.model_validate(answer) for answer in answers]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load before the first request: a damaged bundle ends the process here, and nobody waits for a load."""
    # One thread a call: with many callers, calls side by side beat a call spread over the processors.
    classifier = Classifier.load(BUNDLE, threads=1)
    classifier.predict("the first call is the slowest")
    app.state.desk = Desk(classifier)
    yield


app = FastAPI(title="A text classifier", lifespan=lifespan, max_body_size=MAX_BODY_BYTES)


@app.post("/predict")
async def predict(question: Question, request: Request) -> list[Answer]:
    """Label each text, in order."""
    desk: Desk = request.app.state.desk
    return await desk.ask(question.texts)


@app.get("/healthz")
async def healthz(request: Request) -> dict[str, int]:
    """Say that the process answers, and how many requests wait; for a load balancer."""
    desk: Desk = request.app.state.desk
    return {"waiting": desk.waiting, "labels": len(desk.classifier.labels)}
