"""The identity of the bridge outlives power cuts, damage and full disks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hk_bridge import files
from hk_bridge.errors import StoreError
from hk_bridge.homekit.appearance import Appearance, Information
from hk_bridge.homekit.identity import Identity, Pairing
from hk_bridge.homekit.store import StateLock, Store
from hk_bridge.protocols.setup_code import parse_setup_code, setup_payload
from tests.fakes import crashes
from tests.fakes.faults import FaultyOs, failing

ROOT: Final = Path(__file__).parents[2]
PRIVATE_KEY: Final = bytes(range(32))
LAMP: Final = Appearance(
    Information("Mirror", "WXDM2", "Dimmer channel 1", "WXDM2-1"),
)
SENSOR: Final = Appearance(
    Information("Cellar", "Xiaomi", "LYWSDCGQ", "4C:64:A8:D0:AE:65"),
    frozenset({"temperature", "humidity"}),
    {"humidity": "Damp"},
)
IDENTITY: Final = Identity(
    device_id="3E:01:02:03:04:05",
    private_key=PRIVATE_KEY,
    setup_code="031-45-154",
    setup_id="AB12",
    config_number=3,
    database_hash="a1b2",
    failed_attempts=4,
    pairings=(Pairing(b"F31C6685-9FDD-4869-8F65-3A102FF2534F", b"\x11" * 32, admin=True),),
    aids={"sensor:4C:64:A8:D0:AE:65": 2, "lamp::1": 9, "sensor:gone": 8},
    next_aid=10,
    adopted_address="4C:64:A8:D0:AE:65",
    shown={"lamp::1": LAMP, "sensor:gone": SENSOR},
    gone={"sensor:gone": 90.5},
    names={"9.84": "Spiegel"},
)
OTHER: Final = replace(IDENTITY, config_number=4)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory in which IDENTITY stands."""
    directory = tmp_path / "start"
    Store.open(directory).put(IDENTITY)
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# -- kill -9 at every step ----------------------------------------------------------------


def crash(directory: Path) -> dict[Path, bool]:
    """Run the script; the state directories after each crash, and whether put returned."""
    ended = subprocess.run(
        [sys.executable, crashes.__file__],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
    lines = [line.split() for line in ended.stdout.splitlines()]
    return {directory / line[0]: line[1:] == ["done"] for line in lines}


def check_crashes(after: dict[Path, bool]) -> None:
    grown = replace(
        IDENTITY,
        pairings=(*IDENTITY.pairings, crashes.NEW_PAIRING),
        aids={**IDENTITY.aids, crashes.NEW_ACCESSORY: 10},
        next_aid=11,
    )
    seen = []
    for directory, returned in after.items():
        store = Store.open(directory)
        found = store.bridge()
        assert found == grown or (found == IDENTITY and not returned)
        seen.append(found)
        # Life goes on from there: what comes next gets an aid that nobody had.
        store.put(found.with_aids_for(["sensor:next"]))
        assert Store.open(directory).bridge().aids["sensor:next"] == found.next_aid
    assert IDENTITY in seen
    assert grown in seen


def test_a_kill_at_any_step_of_a_save_leaves_the_old_identity_or_the_new_one(
    state: Path,
) -> None:
    after = crash(state.parent)
    # Two files are written whole, flushed and renamed; each of these steps was cut off.
    assert [path.name for path in after if path.name.startswith("half")] == [
        "half-1",
        "half-2",
        "half-3",
    ]
    assert len(after) > 15
    assert sum(after.values()) == 2
    check_crashes(after)


def test_a_kill_while_a_damaged_file_is_put_aside_loses_neither(state: Path) -> None:
    damaged = b'{"bridges": [{"aids": {'
    (state / "homekit.json").write_bytes(damaged)
    after = crash(state.parent)
    assert len(after) > 15
    for directory in after:
        assert damaged in contents(directory).values()
    check_crashes(after)


#: A disk that is busy elsewhere is no failure.
ON_DISK: Final = settings(deadline=None)


# -- damage -------------------------------------------------------------------------------


def check_that_the_copy_is_used(directory: Path, damaged: bytes) -> None:
    file, copy = directory / "homekit.json", directory / "homekit.json.bak"
    file.write_bytes(damaged)
    store = Store.open(directory)
    assert store.bridge() == IDENTITY
    assert len(store.notices) == 2
    assert store.notices[0].startswith(f"{file} is damaged (")
    assert store.notices[1] == f"its copy {copy} is used"
    assert file.read_bytes() == damaged


def check_that_the_damaged_file_is_kept(directory: Path, damaged: bytes) -> None:
    (directory / "homekit.json").write_bytes(damaged)
    store = Store.open(directory)
    store.put(OTHER)
    aside = list(directory.glob("homekit.json.damaged-*"))
    assert [path.read_bytes() for path in aside] == [damaged]
    again = Store.open(directory)
    assert (again.bridge(), again.notices) == (OTHER, ())
    aside[0].unlink()
    store.put(IDENTITY)


def test_a_file_that_ends_anywhere_too_early_is_replaced_by_its_copy(state: Path) -> None:
    whole = (state / "homekit.json").read_bytes()
    assert whole.endswith(b"}\n")
    for length in range(len(whole) - 1):
        check_that_the_copy_is_used(state, whole[:length])
        if length % 50 == 0:
            check_that_the_damaged_file_is_kept(state, whole[:length])


def test_a_file_with_a_broken_byte_anywhere_is_replaced_by_its_copy(state: Path) -> None:
    whole = (state / "homekit.json").read_bytes()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0x80  # never valid UTF-8 between ASCII
        check_that_the_copy_is_used(state, bytes(broken))
        if position % 50 == 0:
            check_that_the_damaged_file_is_kept(state, bytes(broken))


def test_a_file_with_a_block_of_zeros_is_replaced_by_its_copy(state: Path) -> None:
    whole = (state / "homekit.json").read_bytes()
    for damaged in (bytes(len(whole)), whole[:256] + bytes(len(whole) - 256)):
        check_that_the_copy_is_used(state, damaged)
        check_that_the_damaged_file_is_kept(state, damaged)


def test_two_damaged_files_change_nothing_and_say_what_to_do(state: Path) -> None:
    (state / "homekit.json").write_bytes(b"\0")
    (state / "homekit.json.bak").write_bytes(b"")
    before = contents(state)
    with pytest.raises(StoreError) as caught:
        Store.open(state)
    said = str(caught.value)
    assert said.startswith(f"{state / 'homekit.json'} is damaged")
    assert "Nothing was overwritten. Put a backup of homekit.json there, or move" in said
    assert contents(state) == before


def test_a_missing_file_is_replaced_by_its_copy(state: Path) -> None:
    (state / "homekit.json").unlink()
    store = Store.open(state)
    assert store.bridge() == IDENTITY
    file, copy = state / "homekit.json", state / "homekit.json.bak"
    assert store.notices == (f"{file} is missing: its copy {copy} is used",)


def test_a_missing_copy_comes_back_with_the_next_save(state: Path) -> None:
    (state / "homekit.json.bak").unlink()
    store = Store.open(state)
    assert (store.bridge(), store.notices) == (IDENTITY, ())
    store.put(OTHER)
    assert (state / "homekit.json.bak").read_bytes() == (
        state / "homekit.json"
    ).read_bytes()


def test_a_folder_in_the_file_s_place_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "homekit.json").mkdir()
    with pytest.raises(StoreError, match=r"homekit\.json cannot be read: Is a directory"):
        Store.open(tmp_path)


@pytest.mark.parametrize("number", [2, 99, "2.0"])
def test_a_file_of_another_version_is_no_damage(state: Path, number: object) -> None:
    newer = json.dumps({"format": number, "houses": []}).encode()
    (state / "homekit.json").write_bytes(newer)
    before = contents(state)
    with pytest.raises(StoreError) as caught:
        Store.open(state)
    assert str(caught.value) == (
        f"homekit.json has format {number!r}; this version of hk-bridge reads format 1. "
        "Use the version that wrote it, or a newer one"
    )
    assert contents(state) == before


def check_opened(content: bytes) -> None:
    """Whatever stands in the file: it is read, or the copy is, or a StoreError says why."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        Store.open(directory).put(IDENTITY)
        (directory / "homekit.json").write_bytes(content)
        try:
            store: Store | None = Store.open(directory)
            refused = ""
        except StoreError as error:
            store, refused = None, str(error)
        assert (directory / "homekit.json").read_bytes() == content
        if store is None:
            assert "has format" in refused
            return
        found = store.bridge()
        # What was opened can also be shown, run and saved.
        setup_payload(found.setup_code, found.setup_id, 2)
        assert all(UUID(each.controller_id.decode()) for each in found.pairings)
        Store.open(directory).put(replace(found, failed_attempts=found.failed_attempts + 1))
        if store.notices:
            assert found == IDENTITY
        assert Identity.from_json(json.loads(json.dumps(found.to_json()))) == found
        assert all(type(aid) is int for aid in found.aids.values())
        for text in (found.device_id, found.setup_code, found.setup_id):
            assert isinstance(text, str)
        for may_be_none in (found.adopted_address, found.database_hash):
            assert isinstance(may_be_none, str | None)


KEYS: Final = [*IDENTITY.to_json(), "format", "bridges", "controller", "publicKey", "admin"]
document = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just("1" * 5000)
    | st.integers(10**400, 10**401),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner)
    ),
    max_leaves=15,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in members:
            yield from places(each, (*path, key))


@pytest.mark.parametrize("key", ["nextAid", "configNumber", "failedAttempts"])
@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_a_number_that_is_none_is_damage(state: Path, key: str, number: str) -> None:
    whole = (state / "homekit.json").read_text()
    damaged = re.sub(f'"{key}": [0-9]+', f'"{key}": {number}', whole)
    assert damaged != whole
    check_that_the_copy_is_used(state, damaged.encode())


@given(document)
@ON_DISK
def test_any_json_as_content_is_survived(value: object) -> None:
    check_opened(json.dumps(value).encode())


@given(st.data())
@ON_DISK
def test_any_change_of_the_content_is_survived(data: st.DataObject) -> None:
    whole: Any = {"": {"format": 1, "bridges": [IDENTITY.to_json()]}}
    *above, last = data.draw(st.sampled_from(list(places(whole))[1:]))
    target = whole
    for key in above:
        target = target[key]
    if data.draw(st.booleans()):
        target[last] = data.draw(document)
    else:
        del target[last]
    check_opened(json.dumps(whole.get("")).encode())


@given(st.integers(0, 600), st.integers(0, 7))
@ON_DISK
def test_any_flipped_bit_is_survived(position: int, bit: int) -> None:
    content = bytearray(
        json.dumps(
            {"format": 1, "bridges": [IDENTITY.to_json()]}, indent=2, sort_keys=True
        ).encode()
    )
    content[position % len(content)] ^= 1 << bit
    check_opened(bytes(content))


@given(st.binary())
@ON_DISK
def test_any_bytes_as_content_are_survived(content: bytes) -> None:
    check_opened(content)


# -- saving -------------------------------------------------------------------------------


def test_the_first_start_makes_an_identity_and_keeps_it(tmp_path: Path) -> None:
    assert not Store.exists(tmp_path / "state")
    first = Store.open(tmp_path / "state")
    assert Store.exists(tmp_path / "state")
    assert first.notices == ()
    assert Store.open(tmp_path / "state").bridge() == first.bridge()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "homekit.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state" / "homekit.json.bak").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_saved_is_not_kept_in_memory_either(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(state)
    before = contents(state)
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", FaultyOs(write=failing(os.write)))
        with pytest.raises(StoreError, match="No space left on device"):
            store.put(OTHER)
    assert store.bridge() == IDENTITY
    assert contents(state) == before
    store.put(OTHER)
    assert Store.open(state).bridge() == OTHER


def test_an_identity_that_has_not_changed_is_not_written(state: Path) -> None:
    store = Store.open(state)
    inode = (state / "homekit.json").stat().st_ino
    store.put(replace(IDENTITY))
    assert (state / "homekit.json").stat().st_ino == inode
    store.put(OTHER)
    assert (state / "homekit.json").stat().st_ino != inode


# -- the lock -----------------------------------------------------------------------------

HOLDER: Final = """
import sys
from pathlib import Path
from hk_bridge.homekit.store import StateLock
with StateLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_cannot_have_the_directory_until_the_first_is_dead(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(StoreError) as caught, StateLock(tmp_path):
                pass
            assert str(caught.value) == (
                f"the state directory {tmp_path} is in use by another hk-bridge. Stop that "
                "one first, or give this one a directory of its own with --state-dir"
            )
        finally:
            holder.send_signal(signal.SIGKILL)
    with StateLock(tmp_path):
        pass


def test_the_lock_can_be_taken_again_once_it_was_given_back(tmp_path: Path) -> None:
    with StateLock(tmp_path), pytest.raises(StoreError), StateLock(tmp_path):
        pass
    with StateLock(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught, StateLock(tmp_path / "file" / "state"):
        pass
    assert str(caught.value) == (
        f"the state directory {tmp_path / 'file' / 'state'} cannot be used (Not a "
        "directory). Choose another one with --state-dir"
    )


# -- identity -----------------------------------------------------------------------------

word = st.text(min_size=1)
pairing = st.builds(
    Pairing,
    st.uuids().map(lambda uuid: str(uuid).upper().encode()),
    st.binary(min_size=32, max_size=32),
    admin=st.booleans(),
)


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    aids = draw(st.dictionaries(word, st.integers(2, 2000)))
    numbers = draw(st.permutations(range(2, 2 + len(aids))))
    return Identity(
        device_id=draw(st.binary(min_size=6, max_size=6)).hex(":").upper(),
        private_key=draw(st.binary(min_size=32, max_size=32)),
        setup_code=draw(st.from_regex(r"[0-9]{3}-[0-9]{2}-[0-9]{3}", fullmatch=True)),
        setup_id=draw(st.from_regex(r"[0-9A-Z]{4}", fullmatch=True)),
        config_number=draw(st.integers(1, 65535)),
        database_hash=draw(st.none() | word),
        failed_attempts=draw(st.integers(0, 200)),
        pairings=tuple(draw(st.lists(pairing, max_size=4))),
        aids=dict(zip(aids, numbers, strict=True)),
        next_aid=draw(st.integers(2 + len(aids), 5000)),
        adopted_address=draw(st.none() | word),
    )


@given(identities())
def test_an_identity_survives_its_file(identity: Identity) -> None:
    assert Identity.from_json(json.loads(json.dumps(identity.to_json()))) == identity


def test_the_file_spells_the_identity_like_this() -> None:
    assert IDENTITY.to_json() == {
        "deviceId": "3E:01:02:03:04:05",
        "privateKey": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "setupCode": "031-45-154",
        "setupId": "AB12",
        "configNumber": 3,
        "databaseHash": "a1b2",
        "failedAttempts": 4,
        "pairings": [
            {
                "controller": b"F31C6685-9FDD-4869-8F65-3A102FF2534F".hex(),
                "publicKey": "11" * 32,
                "admin": True,
            }
        ],
        "aids": {"sensor:4C:64:A8:D0:AE:65": 2, "lamp::1": 9, "sensor:gone": 8},
        "nextAid": 10,
        "adoptedAddress": "4C:64:A8:D0:AE:65",
        "shown": {
            "lamp::1": {
                "name": "Mirror",
                "manufacturer": "WXDM2",
                "model": "Dimmer channel 1",
                "serial": "WXDM2-1",
                "quantities": None,
                "names": {},
            },
            "sensor:gone": {
                "name": "Cellar",
                "manufacturer": "Xiaomi",
                "model": "LYWSDCGQ",
                "serial": "4C:64:A8:D0:AE:65",
                "quantities": ["humidity", "temperature"],
                "names": {"humidity": "Damp"},
            },
        },
        "gone": {"sensor:gone": 90.5},
        "names": {"9.84": "Spiegel"},
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"shown": {"a": []}},
        {"shown": {"lamp::1": {**LAMP.to_json(), "quantities": ["weight"]}}},
        {"shown": {"lamp::1": {**LAMP.to_json(), "name": None}}},
        {"gone": {"a": None}},
        {"gone": {"a": float("inf")}},
        {"gone": {"a": -1}},
        {"names": {"9": "Spiegel"}},
        {"names": {"9.84": ""}},
        {"aids": {"a": 2, "b": 2}},
        {"aids": {"a": 1}},
        {"aids": {"a": 10}},
        {"nextAid": 9},
        {"privateKey": "00" * 31},
        {"deviceId": ""},
        {"setupCode": None},
        {"adoptedAddress": 5},
        {"databaseHash": ["a"]},
    ],
)
def test_an_identity_that_would_do_harm_is_not_read(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Identity.from_json({**IDENTITY.to_json(), **wrong})


def test_secrets_do_not_show() -> None:
    shown = f"{IDENTITY!r} {IDENTITY} {IDENTITY.pairings!r} {IDENTITY.pairings[0]}"
    assert "3E:01:02:03:04:05" in shown
    for secret in ("031-45-154", repr(PRIVATE_KEY)[2:-1], PRIVATE_KEY.hex(), "11" * 32):
        assert secret not in shown
    assert repr(b"\x11" * 32)[2:-1] not in shown


def test_new_identities_are_well_formed_and_never_the_same() -> None:
    made = [Identity.new() for _ in range(200)]
    for identity in made:
        assert re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", identity.device_id)
        first = int(identity.device_id[:2], 16)
        assert first & 0b11 == 0b10  # locally administered, unicast
        assert parse_setup_code(identity.setup_code) == identity.setup_code
        assert len(identity.setup_id) == 4
        assert set(identity.setup_id) <= set(string.ascii_uppercase + string.digits)
        Ed25519PrivateKey.from_private_bytes(identity.private_key)
        assert (identity.config_number, identity.pairings) == (1, ())
        assert (identity.aids, identity.next_aid) == ({}, 2)
    assert len({identity.device_id for identity in made}) == 200
    assert len({identity.private_key for identity in made}) == 200
    assert len({identity.setup_code for identity in made}) > 190


def test_aids_begin_with_2_and_leave_7_out() -> None:
    names = [f"sensor:{letter}" for letter in "abcdefgh"]
    aids = Identity.new().with_aids_for(names).aids
    assert list(aids.values()) == [2, 3, 4, 5, 6, 8, 9, 10]
    one_by_one = Identity.new()
    for name in names:
        one_by_one = one_by_one.with_aids_for([name])
    assert one_by_one.aids == aids


@given(st.lists(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=8)))
def test_an_aid_is_given_once_and_never_again(rounds: list[list[str]]) -> None:
    identity, given_to = Identity.new(), dict[int, str]()
    for accessories in rounds:
        before = dict(identity.aids)
        identity = identity.with_aids_for(accessories)
        assert before.items() <= identity.aids.items()
        assert set(accessories) <= set(identity.aids)
        for accessory, aid in identity.aids.items():
            assert given_to.setdefault(aid, accessory) == accessory
            assert aid not in {0, 1, 7}
        assert identity.next_aid > max(identity.aids.values(), default=1)


def test_adopting_an_address_takes_the_aid_along() -> None:
    identity = Identity.new().with_aids_for(["sensor:", "lamp::1"])
    moved = identity.with_adopted("sensor:", "4C:64:A8:D0:AE:65")
    assert moved.aids == {"sensor:4C:64:A8:D0:AE:65": 2, "lamp::1": 3}
    assert moved.adopted_address == "4C:64:A8:D0:AE:65"
    assert moved.with_aids_for(["sensor:"]).aids["sensor:"] == 4


def test_a_sensor_with_an_id_of_its_own_keeps_it_when_it_adopts_an_address() -> None:
    identity = Identity.new().with_aids_for(["sensor:room", "lamp::1"])
    moved = identity.with_adopted("sensor:room", "4C:64:A8:D0:AE:65")
    assert moved.aids == {"sensor:room": 2, "lamp::1": 3}
    assert moved.adopted_address == "4C:64:A8:D0:AE:65"


def test_a_reset_keeps_what_is_printed_and_forgets_whom_it_met() -> None:
    fresh = IDENTITY.without_pairings()
    assert fresh.setup_code == "031-45-154"
    assert fresh.aids == {"sensor:4C:64:A8:D0:AE:65": 2, "lamp::1": 9, "sensor:gone": 8}
    assert fresh.next_aid == 10
    assert fresh.adopted_address == "4C:64:A8:D0:AE:65"
    assert fresh.pairings == ()
    assert fresh.failed_attempts == 0
    assert fresh.config_number == 1
    assert fresh.database_hash is None
    assert fresh.device_id != IDENTITY.device_id
    assert fresh.private_key != IDENTITY.private_key


def test_a_state_directory_can_be_moved(state: Path, tmp_path: Path) -> None:
    shutil.move(state, tmp_path / "elsewhere")
    assert Store.open(tmp_path / "elsewhere").bridge() == IDENTITY
