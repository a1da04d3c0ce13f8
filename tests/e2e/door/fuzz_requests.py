"""Fuzzed HTTP: requests that are right but oddly written, and such that are not right."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.e2e.door.fuzz_bytes import pieces, spoil

#: Method, target and body of requests, and the status that each is answered by.
Table = tuple[tuple[str, str, bytes, int], ...]

#: What a stranger may ask.
OF_STRANGER: Table = (
    ("GET", "/accessories", b"", 470),
    ("GET", "/characteristics?id=1.2", b"", 470),
    ("PUT", "/characteristics", b'{"characteristics":[]}', 470),
    ("PUT", "/prepare", b"{}", 470),
    ("POST", "/pairings", b"\6\1\1\0\1\5", 470),
    ("DELETE", "/accessories#top", b"", 470),
    ("GET", "http://bridge/accessories", b"", 470),
    ("HEAD", "/accessories", b"", 470),
    ("GET", "/", b"", 404),
    ("OPTIONS", "*", b"", 404),
    ("POST", "/%61ccessories", b"", 404),
    ("PATCH", "/accessories/", b"x" * 500, 404),
    ("HEAD", "/nowhere", b"", 404),
    ("GET", "/pair-setup", b"", 405),
    ("PUT", "/pair-verify", b"x", 405),
    ("CONNECT", "/identify", b"", 405),
    ("HEAD", "/pair-setup", b"", 405),
    ("POST", "/pair-setup", b"", 400),
    ("POST", "/pair-setup?x", b"\6\2\1\1" * 900, 400),
    ("POST", "/pair-verify", b'{"state":1}', 400),
    ("POST", "/pair-verify", b"\6\1\3\5\x01\0", 400),
    ("GET", "//[", b"", 400),
)

#: What a controller may ask after pair-verify.
OF_CONTROLLER: Table = (
    ("GET", "/accessories", b"", 200),
    ("GET", "/accessories?nothing#at-all", b"", 200),
    ("GET", "/characteristics?id=1.2", b"", 207),
    ("GET", "/characteristics", b"", 400),
    ("PUT", "/characteristics", b" " * 20_000, 400),
    ("PUT", "/characteristics", b'{"characteristics":[]}', 204),
    ("PUT", "/prepare", b'{"pid":1,"ttl":1000}', 200),
    ("POST", "/pairings", b"\6\1\1\0\1\5", 200),
    ("POST", "/pairings", b"\6\1\1", 400),
    ("POST", "/pair-setup", b"\6\1\1", 400),
    ("POST", "/pair-verify", b"", 400),
    ("POST", "/pair-verify", b"\6\1\1\3\x20" + b"\x09" * 32, 400),
    ("POST", "/identify", b"", 400),
    ("HEAD", "/accessories", b"", 405),
    ("DELETE", "/prepare", b"", 405),
    ("GET", "/", b"", 404),
)

_HEADERS = (
    *("Host: bridge", "host:bridge", "HOST: \t bridge:51826 ", "Host: bridge\r\nX-Y: z"),
    "Accept: */*\r\nUser-Agent: fuzz/1.0 (\t)\r\nX-Empty:\r\nHost: bridge",
)

_ODD_HEADERS = (
    *("Content-Length: -1", "Content-Length: 5, 5", "Content-Length: 5, 6"),
    *("Content-Length: +5", "Content-Length: 0x5", "Content-Length: 1e3"),
    *("Content-Length: 99999999999999999999999", "Content-Length: " + "9" * 5000),
    *("Content-Length: 4097", "Content-Length: 5\r\nContent-Length: 6", "Content-Length:"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked"),
    *("Transfer-Encoding: gzip", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: x"),
    *("Transfer-Encoding : chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3"),
    *(
        "Expect: 100-continue",
        "Expect: 200-ok",
        "Connection: close",
        "Connection: x, close",
    ),
    *(
        "Upgrade: websocket\r\nConnection: Upgrade",
        "Upgrade: HAP/2.0",
        "Host: a\r\nHost: b",
    ),
    *(" folded: a", "X: a\r\n b", "X: a\r\n\tb\r\n c", "X", ": x", "X y: z", "X:\x00"),
    *("X: " + "x" * 9000, "X: y\r\n" * 200 + "X: y", "X" * 5000 + ": y", "X: \xff\xfe"),
    *("X: a\nY: b", "X: a\rY: b", "Cookie: " + "a=b;" * 1500, "\0: \0", "Å: ö"),
)

_ODD_TARGETS = (
    *(
        "/accessories",
        "/pair-setup",
        "/pair-verify",
        "/characteristics?id=1.2",
        "/identify",
    ),
    *("/", "*", "", "//", "///accessories", "/../accessories", "/accessories/..", "/%00"),
    *("/accessories%20", "/accessories;x", "/\x00", "/é", "/a b", "http://", "http://[/"),
    *("/" + "a" * 9000, "/?" + "&" * 4000, "accessories", "http://bridge/pair-setup", "\\"),
)

_ODD_METHODS = (
    *("GET", "POST", "PUT", "HEAD", "DELETE", "CONNECT", "TRACE", "OPTIONS", "PRI", "get"),
    *("", "G T", "GET\t", "É", "POST" * 500, "\0", "GET:", "M-SEARCH", "NOTIFY"),
)

_ODD_VERSIONS = (
    *("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0"),
    *(
        "HTTP/1.",
        "HTTP/11",
        "http/1.1",
        "HTTP /1.1",
        "RTSP/1.0",
        "EVENT/1.0",
        "",
        " HTTP/1.1",
    ),
)

_ODD_BODIES = (
    *(
        b"",
        b"x",
        b"abc",
        b"\0" * 4096,
        b"\0" * 4097,
        b"{}",
        b"0\r\n\r\n",
        b"5\r\nabcde\r\n",
    ),
    *(
        b"5\r\nabcde\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"-1\r\n",
        b"5;x=y\r\nabcde\r\n0\r\n",
    ),
    *(
        b"1\r\na\r\n" * 700,
        b"1000\r\n" + b"a" * 4096,
        b"0" * 9000,
        b"0\r\nX: y\r\n\r\n",
        b"z\r\n",
    ),
    *(
        b"0\r\n" + b"X: y\r\n" * 2000,
        b"5\nabcde\n0\n\n",
        b"GET /accessories HTTP/1.1\r\n\r\n",
    ),
)


@dataclass(frozen=True)
class Right:
    """Requests that are all to be answered, one behind the other, by these statuses."""

    data: bytes
    statuses: tuple[int, ...]


def right(rng: Random, table: Table, most_body: int) -> Right:
    """Some requests that are right, in any way in which they may be written.

    Behind them there may be one that is right but for its size.
    """
    chosen = [rng.choice(table) for _ in range(rng.randrange(1, 6))]
    data = b""
    for number, (method, target, body, _) in enumerate(chosen):
        data += _right_request(rng, method, target, body, last=number == len(chosen) - 1)
    statuses = tuple(status for *_, status in chosen)
    if rng.random() < 0.15 and b"Connection: close" not in data and b"/1.0" not in data:
        return Right(data + _too_large(rng, most_body), (*statuses, 413))
    return Right(data, statuses)


def _too_large(rng: Random, most_body: int) -> bytes:
    """A request with more headers, or more of a body to come, than there may be."""
    head = b"POST /pair-setup HTTP/1.1\r\nHost: bridge\r\n"
    match rng.randrange(4):
        case 0:
            return head + b"X: %b\r\n\r\n" % bytes(
                rng.choice([8192, 9000, 20_000])
            ).replace(b"\0", b"x")
        case 1:
            return head + b"X: y\r\n" * rng.choice([2000, 4000]) + b"\r\n"
        case 2:
            length = rng.choice([most_body + 1, 10**6, 10**11, 10**19])
            return head + b"Content-Length: %d\r\n\r\nabc" % length
        case _:
            chunk = b"100\r\n" + bytes(256) + b"\r\n"
            chunks = chunk * (most_body // 256) + b"1\r\na\r\n0\r\n\r\n"
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


def _right_request(
    rng: Random, method: str, target: str, body: bytes, *, last: bool
) -> bytes:
    lines = [rng.choice(_HEADERS)]
    if len(body) and rng.random() < 0.3:
        lines.append(
            rng.choice(["Transfer-Encoding: chunked", "transfer-encoding:Chunked"])
        )
        body = _chunked(rng, body)
    elif body or rng.random() < 0.3:
        lines.append(f"Content-Length: {len(body)}")
    if body and rng.random() < 0.1:
        lines.append("Expect: 100-continue")
    if last and rng.random() < 0.2:
        lines.append("Connection: close")
    rng.shuffle(lines)
    version = "1.0" if last and b"\r\n" not in body and rng.random() < 0.2 else "1.1"
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *lines, "", ""])
    return head.encode() + body


def _chunked(rng: Random, body: bytes) -> bytes:
    chunks = b""
    for part in pieces(rng, body):
        if part:
            more = rng.choice([b"", b"", b";a", b';a="b c"'])
            chunks += b"%x%b\r\n%b\r\n" % (len(part), more, part)
    return chunks + rng.choice([b"0\r\n\r\n", b"000\r\n\r\n", b"0\r\nX-Trailer: y\r\n\r\n"])


def wrong(rng: Random) -> bytes:
    """Some requests of which most are not right."""
    data = b""
    for _ in range(rng.randrange(1, 4)):
        data += _wrong_request(rng)
    return spoil(rng, data) if rng.random() < 0.4 else data


def _wrong_request(rng: Random) -> bytes:
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(1, 400))
    chance = rng.choice([0.1, 0.3, 0.6])

    def odd(usual: str, choices: tuple[str, ...]) -> str:
        return rng.choice(choices) if rng.random() < chance else usual

    body = rng.choice(_ODD_BODIES)
    first = " ".join(
        [
            odd("POST", _ODD_METHODS),
            odd("/pair-setup", _ODD_TARGETS),
            odd("HTTP/1.1", _ODD_VERSIONS),
        ]
    )
    lines = [first]
    lines += ["Host: bridge"] if rng.random() < 0.9 else []
    lines += [f"Content-Length: {len(body)}"] if rng.random() < 0.5 else []
    while rng.random() < chance:
        lines.append(rng.choice(_ODD_HEADERS))
    end = rng.choice(["\r\n"] * 8 + ["\n", "\r"])
    return end.join([*lines, "", ""]).encode("latin-1", "replace") + body
