"""What all kinds of fuzzed connections share."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.e2e.door.client import (
    FRAME,
    Answer,
    Client,
    Controller,
    Verify,
    accepted,
    derive,
    request,
)
from tests.e2e.door.fuzz_answers import check
from tests.e2e.door.fuzz_bytes import pieces
from tests.e2e.door.servers import Server


class Wire(Client):
    """A connection that remembers what has been said on it, and by which seeds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.said: list[bytes] = []
        self.seeds: list[int] = []
        self.is_paired = False

    @classmethod
    async def verified(cls, server: Server, controller: Controller) -> Wire:
        """A connection of `controller` after pair-verify."""
        wire = await cls.connect(server.port)
        verify = Verify(wire, controller)
        accepted(await verify.m1())
        accepted(await verify.m3())
        verify.secure()
        wire.said.clear()
        return wire

    def write(self, data: bytes) -> None:
        self.said.append(data)
        super().write(data)

    def send(self, data: bytes) -> None:
        """Write, encrypted where the connection is; what is remembered never is."""
        self.send_in_frames(data, FRAME)

    def send_in_frames(self, data: bytes, size: int) -> None:
        """The same, in frames of at most `size` bytes."""
        self.said.append(data)
        super().write(self.outbound.seal(data, size) if self.outbound else data)

    def finish(self) -> None:
        """Say that nothing more will come, to one who may have hung up already."""
        with contextlib.suppress(OSError):
            super().finish()

    async def _more(self) -> bool:
        try:
            return await super()._more()
        except OSError:
            # The same, where `finish` could only be said later.
            return False

    def leave(self, rng: Random) -> None:
        """Hang up, with a goodbye or without."""
        if rng.random() < 0.3:
            self.abort()
        else:
            self.close()

    async def ask(self, rng: Random, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request, now and then in pieces, and take an answer that may be."""
        data = request(method, path, body)
        for piece in pieces(rng, data) if rng.random() < 0.1 else [data]:
            self.send(piece)
            await asyncio.sleep(0)
        answer = await self.receive()
        for each in (answer, *self.events):
            check(each, verified=self.inbound is not None, paired=self.is_paired)
        self.events.clear()
        return answer


class Kind(ABC):
    """One kind of fuzzed connections to one server."""

    #: Whether the bridge must be paired for it.
    paired: ClassVar[bool]

    #: How many connections there are at once; one where the order matters.
    lanes: ClassVar[int] = 4

    def __init__(self, server: Server) -> None:
        self.server = server
        #: How long a case may take; less than the half minute after which a bridge hangs
        #: up on a request that it finds unfinished.
        self.patience = min(server.patience, 20.0)

    async def prepare(self) -> None:
        """Do what all cases need to be done before."""
        if self.paired:
            await self.server.home()

    async def open(self) -> Wire:
        """A connection for some cases."""
        wire = await Wire.connect(self.server.port)
        wire.is_paired = self.paired
        return wire

    def is_used_up(self, wire: Wire, /) -> bool:
        """Whether the next case needs another connection."""
        return wire.is_closing

    @abstractmethod
    async def play(self, wire: Wire, rng: Random) -> None:
        """Play a case, and assert what comes of it; closes `wire` when it is used up."""

    async def finish(self) -> None:  # noqa: B027 # most have nothing to add
        """Assert what must hold after all cases, and clean up."""


def seeded_controller(rng: Random) -> Controller:
    """A controller that is the same one for the same chance."""
    identifier = str(UUID(bytes=rng.randbytes(16), version=4)).upper().encode()
    return Controller(identifier, Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)))


def seal(secret: bytes, exchange: bytes, nonce: bytes, plain: bytes) -> bytes:
    """Any bytes, encrypted as M5 of Pair-Setup and M3 of Pair-Verify have it."""
    key = derive(secret, exchange + b"-Encrypt-Salt", exchange + b"-Encrypt-Info")
    return ChaCha20Poly1305(key).encrypt(nonce.rjust(12, b"\0"), plain, b"")
