"""HTTP requests that no client library would send: each part is right or wrong by chance."""

import random

METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PRI", "x", "PO ST")
TARGETS = (
    *("/predict", "/healthz", "/", "*", "/docs", "/openapi.json"),
    *("http://[::1", "x:1", "/%ff%00", "/\xff", ""),
)
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "")
FIELDS = (
    "Content-Length: 12",
    "Content-Length: 0",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: x",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Expect: 100-continue",
    "Expect: the unexpected",
    "Connection: close",
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
    "Content-Type: application/json",
    "Content-Type: \xff\xfe",
    "Content-Type: multipart/form-data",
    "Content-Encoding: gzip",
    "Host: y",
    "Cookie: " + "a=b;" * 3_000,
    "No colon",
    "Folded: a\r\n b",
)
BODIES = (
    b"",
    b'{"texts": ["pay"]}',
    b'12\r\n{"texts": ["pay"]}\r\n0\r\n\r\n',
    b'5\r\n{"tex\r\n',
    b"5\r\n{garbage without a chunk's length",
    b"ffffffffffffffffffff\r\n",
    b"\xff\x00\r\n\r\n",
    b"x" * 70_000,
)


def odd_requests(chance: random.Random) -> bytes:
    """Return one to three requests for one connection, and what is left of their bodies."""
    return b"".join(_request(chance) for _ in range(chance.randint(1, 3)))


def _request(chance: random.Random) -> bytes:
    fields = chance.sample(FIELDS, chance.randint(0, 4))
    if chance.random() < 0.8:
        fields.insert(0, "Host: x")
    method = "POST" if chance.random() < 0.5 else chance.choice(METHODS)
    target = "/predict" if chance.random() < 0.5 else chance.choice(TARGETS)
    version = "HTTP/1.1" if chance.random() < 0.8 else chance.choice(VERSIONS)
    head = "\r\n".join([f"{method} {target} {version}", *fields, "", ""])
    return head.encode("latin-1") + chance.choice(BODIES)
