"""Whatever comes instead of HTTP and of frames, and however much, does no harm."""

from __future__ import annotations

import pytest

from tests.e2e.door import framing
from tests.e2e.door.servers import Attack, HkBridge


@pytest.mark.parametrize("length", [4097, 10**11, 10**18])
async def test_a_body_that_is_too_large_is_refused_before_it_has_come(
    unpaired: HkBridge, length: int
) -> None:
    await framing.announced_body(unpaired, length)


async def test_a_body_without_end_is_cut_off(unpaired: HkBridge) -> None:
    await framing.chunks_without_end(unpaired)


@pytest.mark.parametrize("data", framing.LARGE_HEADERS.values(), ids=framing.LARGE_HEADERS)
async def test_headers_that_are_too_large_are_cut_off(
    unpaired: HkBridge, data: bytes
) -> None:
    await framing.large_headers(unpaired, data)


async def test_memory_does_not_grow_with_what_is_sent(fresh: HkBridge) -> None:
    await framing.memory(fresh)


async def test_a_controller_may_send_more_but_not_without_end(paired: HkBridge) -> None:
    await framing.large_requests_of_a_controller(paired)


@pytest.mark.parametrize("data", framing.NO_HTTP.values(), ids=framing.NO_HTTP)
async def test_what_is_no_http_ends_the_connection(unpaired: HkBridge, data: bytes) -> None:
    await framing.bad_http(unpaired, data)


async def test_a_request_may_come_in_pieces(paired: HkBridge) -> None:
    await framing.slow_request(paired)
    await framing.full_frame(paired)


@pytest.mark.parametrize(
    "attack",
    [
        framing.long_frame,
        framing.long_length,
        framing.wrong_tag,
        framing.replayed_frame,
        framing.encrypted_garbage,
        framing.plaintext_later,
    ],
)
async def test_a_frame_that_is_not_right_ends_the_connection_without_an_answer(
    paired: HkBridge, attack: Attack
) -> None:
    await attack(paired)
