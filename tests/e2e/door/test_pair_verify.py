"""Who is not paired does not get in, and who is not any more is out."""

from __future__ import annotations

import pytest

from tests.e2e.door import pair_setup, pair_verify, pairings
from tests.e2e.door.servers import Attack, HkBridge


@pytest.mark.parametrize("key", pair_verify.WEAK_KEYS.values(), ids=pair_verify.WEAK_KEYS)
async def test_a_weak_or_short_key_is_refused_by_pair_verify(
    paired: HkBridge, key: bytes
) -> None:
    await pair_verify.weak_key(paired, key)


@pytest.mark.parametrize(
    "message", pair_verify.OUT_OF_ORDER.values(), ids=pair_verify.OUT_OF_ORDER
)
async def test_pair_verify_out_of_order_is_refused(
    paired: HkBridge, message: tuple[tuple[int, bytes], ...]
) -> None:
    await pair_verify.out_of_order(paired, message)


@pytest.mark.parametrize("body", pair_setup.STATELESS.values(), ids=pair_setup.STATELESS)
async def test_pair_verify_without_a_state_is_a_bad_request_when_paired_too(
    paired: HkBridge, body: bytes
) -> None:
    await paired.home()
    await pair_setup.stateless(paired, body, "/pair-verify")


async def test_nobody_verifies_with_a_bridge_that_is_not_paired(
    unpaired: HkBridge,
) -> None:
    await pair_verify.unpaired(unpaired)


async def test_nobody_verifies_as_somebody_else(paired: HkBridge) -> None:
    await pair_verify.impostors(paired)
    await pair_verify.bad_proofs(paired)


async def test_a_verification_that_was_overheard_is_of_no_use(paired: HkBridge) -> None:
    await pair_verify.replayed_proof(paired)


async def test_plaintext_behind_the_last_message_of_pair_verify_is_not_carried_out(
    paired: HkBridge,
) -> None:
    await pair_verify.plaintext_behind_the_proof(paired)


async def test_an_encrypted_connection_does_not_pair_or_verify_again(
    paired: HkBridge,
) -> None:
    await pair_verify.pairing_again(paired)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(pairings.staying_after_removal, id="a removed controller stays"),
        pytest.param(pairings.staying_after_the_last_removal, id="everybody removed stays"),
        pytest.param(pairings.another_key, id="another key for a known controller"),
        pytest.param(pairings.without_end, id="more than sixteen"),
        pytest.param(pairings.by_a_guest, id="by one who is no admin"),
        pytest.param(pairings.by_a_demoted_admin, id="by one who is no admin any more"),
        pytest.param(pairings.malformed, id="malformed"),
    ],
)
async def test_the_list_of_pairings_is_what_its_admins_made_of_it(
    fresh: HkBridge, attack: Attack
) -> None:
    await attack(fresh)
