"""Who does not know the setup code does not pair, and who does is not disturbed."""

from __future__ import annotations

import pytest
from aiohomekit.crypto.srp import SrpClient

from hk_bridge.homekit.srp import SetupServer, Verifier
from tests.e2e.door import pair_setup
from tests.e2e.door.client import Controller, accepted
from tests.e2e.door.conftest import Build
from tests.e2e.door.servers import CODE, HkBridge


@pytest.mark.parametrize("public", pair_setup.ZEROS.values(), ids=pair_setup.ZEROS)
async def test_a_public_key_of_zero_modulo_n_is_refused_and_counted(
    fresh: HkBridge, public: bytes
) -> None:
    await pair_setup.zero_public_key(fresh, public)


@pytest.mark.parametrize("padded", [True, False])
async def test_a_controller_that_strips_leading_zeros_pairs(
    fresh: HkBridge, padded: bool
) -> None:
    await pair_setup.short_public_key(fresh, padded=padded)


@pytest.mark.no_cover
async def test_after_a_hundred_wrong_codes_pairing_is_shut_until_it_is_reset(
    build: Build,
) -> None:
    bridge = build(failed_attempts=99)
    await pair_setup.guessing(bridge)
    bridge.restart()
    async with await bridge.connect() as client:
        await pair_setup.expect_shut(client)
    bridge.stop()
    bridge.reset()
    bridge.start()
    await bridge.home()


async def test_each_wrong_code_is_answered_later_and_nobody_begins_meanwhile(
    build: Build,
) -> None:
    await pair_setup.hasty_guessing(build(failed_attempts=10))


async def test_the_right_code_sets_the_count_to_zero(build: Build) -> None:
    bridge = build(failed_attempts=99)
    async with await bridge.connect() as client:
        await bridge.proven(client)
    assert bridge.failed_attempts == 0


async def test_a_second_exchange_is_told_to_wait_and_does_not_break_the_first(
    fresh: HkBridge,
) -> None:
    await pair_setup.second_exchange(fresh)


async def test_of_many_who_begin_at_once_one_gets_a_challenge(fresh: HkBridge) -> None:
    await pair_setup.many_exchanges(fresh)


async def test_an_exchange_ends_with_its_connection(fresh: HkBridge) -> None:
    for end in ("close", "abort", "finish"):
        async with await fresh.connect() as client:
            accepted(await client.pair_setup(*pair_setup.M1))
            getattr(client, end)()
            await client.closed()
    await fresh.home()


async def test_an_exchange_may_begin_again_on_its_connection(fresh: HkBridge) -> None:
    async with await fresh.connect() as client:
        for _ in range(3):
            accepted(await client.pair_setup(*pair_setup.M1))
        accepted(await (await fresh.proven(client)).m5(Controller()))


@pytest.mark.parametrize("body", pair_setup.STATELESS.values(), ids=pair_setup.STATELESS)
@pytest.mark.parametrize("path", ["/pair-setup", "/pair-verify"])
async def test_a_pairing_message_without_a_state_is_a_bad_request(
    unpaired: HkBridge, path: str, body: bytes
) -> None:
    await pair_setup.stateless(unpaired, body, path)


@pytest.mark.parametrize(
    "message", pair_setup.OUT_OF_ORDER.values(), ids=pair_setup.OUT_OF_ORDER
)
async def test_pair_setup_out_of_order_is_refused(
    unpaired: HkBridge, message: tuple[tuple[int, bytes], ...]
) -> None:
    await pair_setup.out_of_order(unpaired, message)


async def test_keys_are_not_exchanged_without_a_proof(fresh: HkBridge) -> None:
    await pair_setup.keys_without_a_proof(fresh)
    await pair_setup.keys_after_a_wrong_proof(fresh)


async def test_a_proof_that_lacks_a_part_is_malformed_and_not_counted(
    unpaired: HkBridge,
) -> None:
    await pair_setup.proof_without_its_parts(unpaired)
    assert unpaired.failed_attempts == 0


async def test_keys_that_are_not_what_they_should_be_pair_nobody(
    unpaired: HkBridge,
) -> None:
    await pair_setup.bad_keys(unpaired)


async def test_a_paired_bridge_takes_no_second_home(paired: HkBridge) -> None:
    await pair_setup.second_home(paired)


def test_a_proof_is_compared_in_constant_time() -> None:
    class Telltale(bytes):
        """A proof that says when it is compared byte by byte."""

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared by ==")

        __hash__ = bytes.__hash__

    server = SetupServer(Verifier.of(CODE))
    client = SrpClient("Pair-Setup", CODE)
    client.set_salt(bytearray(server.salt))
    client.set_server_public_key(bytearray(server.public))
    proof = Telltale(client.get_proof_bytes())
    assert server.verify(bytes(client.get_public_key_bytes()), proof) is not None
