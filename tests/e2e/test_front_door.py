"""What a stranger on the network can send, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import pytest
from aiohomekit.controller.ip import IpController
from aiohomekit.crypto.srp import SrpClient
from pyhap.params import get_srp_context

from hk_bridge.homekit.store import Identity, Store
from tests.e2e.conftest import LOOPBACK, Bridge, pair

N = get_srp_context(3072, hashlib.sha512, 16)["N"]
WRONG_PROOF = bytes(64)

STATE, METHOD, PUBLIC_KEY, PROOF, ENCRYPTED, ERROR, SALT = 6, 0, 3, 4, 5, 7, 2
UNKNOWN, AUTHENTICATION, MAX_TRIES, UNAVAILABLE = 1, 2, 5, 6


class RawClient:
    """Says whatever it is told to, and reads one HTTP answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> RawClient:
        return cls(*await asyncio.open_connection(LOOPBACK, port))

    async def send(self, data: bytes) -> tuple[int, bytes]:
        self._writer.write(data)
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            lines = head.decode().lower().split("\r\n")
            lengths = [
                int(x.split(":")[1]) for x in lines if x.startswith("content-length")
            ]
            body = await self._reader.readexactly(lengths[0]) if lengths else b""
        return int(lines[0].split()[1]), body

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self.send(head.encode() + body)

    async def pair_setup(self, *values: tuple[int, bytes]) -> tuple[int, dict[int, bytes]]:
        status, body = await self.request("POST", "/pair-setup", tlv(*values))
        return status, untlv(body)

    def close(self) -> None:
        self._writer.close()


def tlv(*values: tuple[int, bytes]) -> bytes:
    out = b""
    for kind, value in values:
        for start in range(0, max(len(value), 1), 255):
            part = value[start : start + 255]
            out += bytes([kind, len(part)]) + part
    return out


def untlv(data: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    while data:
        kind, length = data[:2]
        values[kind] = values.get(kind, b"") + data[2 : 2 + length]
        data = data[2 + length :]
    return values


M1 = ((METHOD, b"\0"), (STATE, b"\1"))


@pytest.fixture
async def stranger(bridge: Bridge) -> AsyncIterator[RawClient]:
    await bridge.start()
    client = await RawClient.connect(bridge.port)
    yield client
    client.close()


@pytest.mark.parametrize("multiple", [0, 1, 2])
@pytest.mark.parametrize("spelling", ["short", "padded"])
async def test_a_public_key_of_zero_modulo_n_is_refused_and_counted(
    bridge: Bridge, stranger: RawClient, multiple: int, spelling: str
) -> None:
    key = multiple * N
    length = 385 if spelling == "padded" else max((key.bit_length() + 7) // 8, 1)
    _, challenge = await stranger.pair_setup(*M1)
    # With that key the secret is 0, and this is the proof that needs no setup code.
    public = key.to_bytes(length, "big")
    session_key = hashlib.sha512(b"").digest()
    group = bytes(
        a ^ b
        for a, b in zip(
            hashlib.sha512(N.to_bytes(384, "big")).digest(),
            hashlib.sha512(b"\5").digest(),
            strict=True,
        )
    )
    proof = hashlib.sha512(
        group
        + hashlib.sha512(b"Pair-Setup").digest()
        + challenge[SALT]
        + public
        + challenge[PUBLIC_KEY]
        + session_key
    ).digest()
    status, answer = await stranger.pair_setup(
        (STATE, b"\3"), (PUBLIC_KEY, public), (PROOF, proof)
    )
    assert (status, answer) == (200, {STATE: b"\4", ERROR: bytes([AUTHENTICATION])})
    assert bridge.identity.failed_attempts == 1
    status, answer = await stranger.pair_setup((STATE, b"\5"), (ENCRYPTED, bytes(64)))
    assert status == 400
    assert bridge.identity.pairings == ()


async def test_after_a_hundred_wrong_codes_pairing_is_shut_even_for_the_right_one(
    bridge: Bridge, stranger: RawClient
) -> None:
    # The last of the hundred, as if 99 had been tried over the last years.
    await bridge.stop()
    store = Store.open(bridge.state)
    data = {**store.bridge().to_json(), "failedAttempts": 99}
    store.put(Identity.from_json(data))
    await bridge.start()
    client = await RawClient.connect(bridge.port)
    await client.pair_setup(*M1)
    wrong = ((STATE, b"\3"), (PUBLIC_KEY, b"\2" * 384), (PROOF, WRONG_PROOF))
    _, answer = await client.pair_setup(*wrong)
    assert answer[ERROR] == bytes([AUTHENTICATION])
    _, answer = await client.pair_setup(*M1)
    assert answer == {STATE: b"\2", ERROR: bytes([MAX_TRIES])}
    client.close()
    await bridge.stop()
    await bridge.start()
    client = await RawClient.connect(bridge.port)
    _, answer = await client.pair_setup(*M1)
    assert answer == {STATE: b"\2", ERROR: bytes([MAX_TRIES])}
    client.close()


async def test_a_second_client_does_not_break_the_exchange_of_the_first(
    bridge: Bridge, stranger: RawClient
) -> None:
    _, challenge = await stranger.pair_setup(*M1)
    second = await RawClient.connect(bridge.port)
    await second.pair_setup(*M1)
    second.close()
    first = SrpClient("Pair-Setup", bridge.identity.setup_code)
    first.set_salt(bytearray(challenge[SALT]))
    first.set_server_public_key(bytearray(challenge[PUBLIC_KEY]))
    _, answer = await stranger.pair_setup(
        (STATE, b"\3"),
        (PUBLIC_KEY, first.get_public_key_bytes()),
        (PROOF, first.get_proof_bytes()),
    )
    assert first.verify_servers_proof_bytes(answer[PROOF])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x06",
        b"\x06\x05\x01",
        b"\xff" * 400,
        tlv((STATE, b"\3")),
        tlv((STATE, b"\5")),
        tlv((STATE, b"\5"), (ENCRYPTED, b"")),
        tlv((STATE, b"\3"), (PUBLIC_KEY, b"\2" * 500), (PROOF, b"")),
        tlv((STATE, b"\x09")),
        tlv((STATE, b"\2")),
    ],
)
@pytest.mark.parametrize("path", ["/pair-setup", "/pair-verify"])
async def test_pairing_nonsense_is_refused_in_a_line_and_nothing_breaks(
    bridge: Bridge,
    stranger: RawClient,
    controller: IpController,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: bytes,
) -> None:
    status, answer = await stranger.request("POST", path, body)
    assert status == 400 or untlv(answer)[ERROR]
    assert not [record for record in caplog.records if record.exc_info]
    await pair(controller, bridge.identity)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/accessories", 470),
        ("GET", "/characteristics?id=2.33", 470),
        ("PUT", "/characteristics", 470),
        ("PUT", "/prepare", 470),
        ("POST", "/pairings", 470),
        ("DELETE", "/accessories", 470),
        ("GET", "/", 404),
        ("GET", "/etc/passwd", 404),
        ("GET", "/pair-setup", 405),
    ],
)
async def test_nothing_of_the_house_is_told_before_pair_verify(
    stranger: RawClient,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    status: int,
) -> None:
    assert (await stranger.request(method, path))[0] == status
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_paired_bridge_takes_no_second_home(
    bridge: Bridge, stranger: RawClient, controller: IpController
) -> None:
    await pair(controller, bridge.identity)
    _, answer = await stranger.pair_setup(*M1)
    assert answer == {STATE: b"\2", ERROR: bytes([UNAVAILABLE])}


async def test_identify_is_for_a_bridge_that_nobody_has_paired_yet(
    bridge: Bridge,
    stranger: RawClient,
    controller: IpController,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    assert (await stranger.request("POST", "/identify"))[0] == 204
    assert "HK Bridge was asked to identify itself" in caplog.messages
    await pair(controller, bridge.identity)
    status, body = await stranger.request("POST", "/identify")
    assert (status, body) == (400, b'{"status":-70401}')


async def test_a_request_without_end_is_cut_off(
    bridge: Bridge, controller: IpController, caplog: pytest.LogCaptureFixture
) -> None:
    await bridge.start()
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(
        b"POST /pair-setup HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n"
    )
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            for _ in range(1000):  # 4 MiB, if it were let
                writer.write(bytes(4096))
                await writer.drain()
            assert await reader.read() == b""
    assert len([m for m in caplog.messages if "far too large a request" in m]) <= 1
    assert any("far too large a request" in message for message in caplog.messages)
    writer.close()
    await pair(controller, bridge.identity)


async def test_garbage_instead_of_http_is_survived(
    bridge: Bridge, controller: IpController, caplog: pytest.LogCaptureFixture
) -> None:
    await bridge.start()
    for garbage in (b"\x16\x03\x01" * 50, b"GET\r\n\r\n", b"\x00" * 5000):
        reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
        writer.write(garbage)
        async with asyncio.timeout(10):
            await reader.read()
        writer.close()
    assert not [record for record in caplog.records if record.exc_info]
    await pair(controller, bridge.identity)
