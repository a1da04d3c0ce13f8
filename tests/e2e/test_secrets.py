"""No key and no code in a log, however much it says; no file that others can read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from hk_bridge.homekit.identity import Identity
from hk_bridge.homekit.pair_setup import PairSetup
from hk_bridge.homekit.pair_verify import PairVerify
from hk_bridge.homekit.store import StateLock, Store
from hk_bridge.protocols import mibeacon
from hk_bridge.protocols.mibeacon_objects import encode_values
from hk_bridge.protocols.setup_code import setup_payload
from tests.e2e.conftest import ROOM_1, ROOM_2, SENSORS, Bridge, dimmer, until, until_async
from tests.e2e.door.characteristics import at, item, put
from tests.e2e.door.client import (
    ENCRYPTED,
    FRAME,
    METHOD,
    PUBLIC_KEY,
    Client,
    Controller,
    Setup,
    Verify,
    accepted,
    derive,
    state,
)
from tests.e2e.door.expectations import expect, expect_status
from tests.e2e.door.pairings import DONE, add, remove
from tests.e2e.door.servers import HkBridge

CODE, WRONG_CODE = "031-45-154", "031-45-155"
BIND_KEYS = {"bind key": bytes(range(0xB0, 0xC0)), "short bind key": bytes(range(50, 62))}
ON, BRIGHTNESS, TEMPERATURE = (4, 81), (4, 82), (2, 33)

#: By name; codes are text.
Secrets = dict[str, bytes | str]


# -- how a secret can look in a log ------------------------------------------------------


def leaks(secrets: Secrets, text: str) -> set[str]:
    """Which of `secrets` are in `text`, whole or in halves, in whatever notation."""
    plain = _unescaped(text)
    digits = re.sub(r"[\s:.,-]|0x", "", text.lower())
    found = set()
    for name, secret in secrets.items():
        data = secret.encode() if isinstance(secret, str) else secret
        if isinstance(secret, str) and re.search(_loosely(secret), text):
            found.add(name)
        for part in [data, *_parts(data)]:
            if part.hex() in digits or any(form in plain for form in _forms(part)):
                found.add(name)
    return found


def _unescaped(text: str) -> str:
    """`text`, however often its backslashes were doubled and its quotes were marked."""
    return re.sub(r"\\+(?=['\"\\])", "", text)


def _loosely(code: str) -> str:
    """A pattern for a code with or without its dashes, not in the midst of a number."""
    return rf"(?<!\d){code.replace('-', '-?')}(?!\d)"


def _parts(data: bytes, size: int = 16) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data) - size + 1, size)]


def _forms(data: bytes) -> Iterator[str]:
    yield _unescaped(data.decode("latin-1"))
    yield _unescaped(repr(data)[2:-1])
    yield ", ".join(map(str, data))
    yield str(int.from_bytes(data, "big"))
    yield str(int.from_bytes(data, "little"))
    for before in range(3):
        # In the midst of something longer, a byte can begin at three places.
        first, end = (8 * before + 5) // 6, 8 * (before + len(data)) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + data)[first:end].decode()


def said(records: Iterable[logging.LogRecord]) -> str:
    """Everything that is in log records, shown or not."""
    formatter = logging.Formatter("%(levelname)s %(name)s %(pathname)s %(message)s")
    parts: list[str] = []
    for record in records:
        parts += [formatter.format(record), repr(record.msg), repr(record.args)]
        error = record.exc_info[1] if record.exc_info else None
        while error is not None:
            parts += [repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    return "\n".join(parts)


PLANTS: dict[str, Callable[[bytes], object]] = {
    "hex": bytes.hex,
    "upper case": lambda secret: secret.hex().upper(),
    "with colons": lambda secret: secret.hex(":"),
    "a dump": lambda secret: secret.hex(" ", -4),
    "base64": lambda secret: base64.b64encode(b"more" + secret + b"!"),
    "base64 for URLs": base64.urlsafe_b64encode,
    "bytes": lambda secret: secret,
    "bytes in bytes": lambda secret: b'it\'s "it"' + secret,
    "bytes in text in text": lambda secret: repr([repr(bytearray(b"'\"" + secret))]),
    "raw": lambda secret: secret.decode("latin-1"),
    "a list": list,
    "a number": lambda secret: int.from_bytes(secret, "big"),
    "half of it": lambda secret: secret[16:],
}


@pytest.mark.parametrize("look", PLANTS.values(), ids=PLANTS)
def test_the_search_finds_a_secret_in_every_notation(
    look: Callable[[bytes], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for number in range(20):
        caplog.clear()
        # With quotation marks and backslashes among its bytes.
        secret = bytes((index * 41 + number * 13) % 256 for index in range(30)) + b"\\'"
        other = bytes(255 - byte for byte in secret)
        secrets: Secrets = {"key": secret, "other": other, "code": CODE}
        logging.getLogger("x").debug("Send: %s", look(secret))
        assert leaks(secrets, said(caplog.records)) == {"key"}


def test_the_search_finds_codes_and_what_is_in_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secrets: Secrets = {"key": bytes(range(32)), "code": CODE}
    for text in (CODE, CODE.replace("-", ""), CODE.encode().hex(), f"pin={CODE}."):
        assert leaks(secrets, f"it is {text}") == {"code"}
    assert leaks(secrets, "1031451540 and 031-45-155 and 00:01:02:03") == set()
    try:
        raise ValueError(bytes(range(32)))
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert leaks(secrets, said(caplog.records)) == {"key"}


# -- the life of a bridge ----------------------------------------------------------------


#: Salt and info of the keys that are derived.
_PAIR_SETUP = b"Pair-Setup-Encrypt-Salt", b"Pair-Setup-Encrypt-Info"
_PAIR_VERIFY = b"Pair-Verify-Encrypt-Salt", b"Pair-Verify-Encrypt-Info"
_INBOUND = b"Control-Salt", b"Control-Write-Encryption-Key"
_OUTBOUND = b"Control-Salt", b"Control-Read-Encryption-Key"


class Life:
    """What comes to a bridge, from the first stranger on, and the secrets of it all."""

    def __init__(self, port: int, identity: Identity) -> None:
        self.port, self.code = port, identity.setup_code
        payload = setup_payload(identity.setup_code, identity.setup_id, 2)
        self.secrets: Secrets = {
            "setup code": identity.setup_code,
            "setup payload": payload.removeprefix("X-HM://").encode(),
            "private key": identity.private_key,
            **BIND_KEYS,
        }
        self.home, self.guest = self._controller("home"), self._controller("guest")

    def _controller(self, name: str) -> Controller:
        controller = Controller()
        self.secrets[f"key of {name}"] = controller.signer.private_bytes_raw()
        return controller

    async def strangers(self) -> None:
        """Guess the code, and talk nonsense."""
        async with await Client.connect(self.port) as client:
            setup = Setup(client, WRONG_CODE)
            accepted(await setup.m1())
            assert (await setup.m3()).error is not None
        async with await Client.connect(self.port) as client:
            for values in ([state(9)], [state(3)], [], [(METHOD, bytes(300))]):
                expect_status(await client.pair_setup(*values), 400)
                expect_status(await client.pair_verify(*values), 400)
            weak = [state(1), (PUBLIC_KEY, bytes(32))]
            expect_status(await client.pair_verify(*weak), 400)
            expect_status(await client.get("/accessories"), 470)
            client.write(b"\x16\x03\x01 no HTTP\r\n\r\n")
            await client.closed()

    async def pair(self) -> None:
        """Pair, with an M5 that is wrong first."""
        for right in (False, True):
            async with await Client.connect(self.port) as client:
                setup = Setup(client, self.code)
                accepted(await setup.m1())
                accepted(await setup.m3())
                self._keep_keys_of(setup)
                if right:
                    accepted(await setup.m5(self.home))
                else:
                    await client.pair_setup(state(5), (ENCRYPTED, bytes(100)))

    def _keep_keys_of(self, setup: Setup) -> None:
        srp, key = setup.srp, setup.srp.get_session_key_bytes()
        self.secrets |= {
            "SRP x": srp.x.to_bytes(64, "big"),
            "SRP verifier": pow(srp.g, srp.x, srp.n).to_bytes(384, "big"),
            "SRP premaster secret": srp.get_shared_secret_bytes(),
            "SRP session key": key,
            "key of M5": derive(key, *_PAIR_SETUP),
        }

    async def session(self, controller: Controller) -> Client:
        client = await Client.connect(self.port)
        verify = Verify(client, controller)
        accepted(await verify.m1())
        accepted(await verify.m3())
        verify.secure()
        number = sum(name.startswith("secret of session") for name in self.secrets)
        self.secrets[f"secret of session {number}"] = verify.shared
        for salt, info in (_PAIR_VERIFY, _INBOUND, _OUTBOUND):
            name = f"{info.decode()} of session {number}"
            self.secrets[name] = derive(verify.shared, salt, info)
        return client

    async def at_home(self) -> None:
        """Read, write, be told, and ask for what is not to be had."""
        two = await self.session(self.home)
        async with two, await self.session(self.home) as one:
            expect_status(await one.get("/accessories"), 200)
            await until_async(lambda: _answers(one))
            expect(await put(two, item(ON, ev=True), item(BRIGHTNESS, ev=True)), 204)
            expect(await put(one, item(ON, value=True), item(BRIGHTNESS, value=40)), 204)
            await two.event()
            expect_status(await one.put("/prepare", {"ttl": 1000, "pid": 1}), 200)
            expect(await put(one, item(ON, value=False), pid=1), 204)
            expect_status(await put(one, item(TEMPERATURE, value=1)), 207)
            for body in (b"{", b"[]", b'{"characteristics": [{"aid": "x"}]}'):
                expect_status(await one.put("/characteristics", body), 400)
            expect_status(await one.get("/characteristics?id=x"), 400)
            one.send(b"no HTTP\r\n\r\n")
            await one.closed()
            assert two.outbound is not None
            two.write(two.outbound.seal(bytes(FRAME + 1), FRAME + 1))
            await two.closed()

    async def guests(self) -> None:
        """Add a controller, have it come, and remove it; it comes again, and others do."""
        async with await self.session(self.home) as admin:
            expect(await add(admin, self.guest), 200, DONE)
            expect(await add(admin, Controller(self.guest.identifier)), 200, _REFUSED)
            async with await self.session(self.guest) as client:
                expect_status(await client.get("/accessories"), 200)
                expect_status(await remove(client, self.home), 200)
                expect(await remove(admin, self.guest), 200, DONE)
                await client.closed()
        for controller in (self.guest, Controller(self.home.identifier)):
            async with await Client.connect(self.port) as client:
                verify = Verify(client, controller)
                accepted(await verify.m1())
                assert (await verify.m3()).error is not None
                self.secrets[f"refused {controller.public_key[:4]!r}"] = verify.shared

    async def end(self) -> None:
        """Remove the last pairing."""
        async with await self.session(self.home) as admin:
            expect(await remove(admin, self.home), 200, DONE)
            await admin.closed()


_REFUSED = b"\x06\x01\x02\x07\x01\x01"


async def _answers(client: Client) -> bool:
    return (await client.get(at([ON]))).status == 200


def with_keys(dimmer_port: str) -> list[dict[str, object]]:
    """The accessories, with a bind key for each sensor."""
    keys = [key.hex() for key in BIND_KEYS.values()]
    sensors = [{**s, "bindKey": k} for s, k in zip(SENSORS, keys, strict=True)]
    return [*sensors, dimmer(dimmer_port)]


def encrypted(address: str, counter: int, key: bytes) -> str:
    values = encode_values(20.0 + counter, 40.0)
    frame = mibeacon.MiBeaconFrame(0x055B, counter, address, objects=values)
    return frame.to_bytes(key).hex()


#: What shows that all of it has come where it should.
SAID = ("a wrong setup code", "paired with controller", "Room 1: ", "Room 2: ")


async def test_no_secret_is_in_the_log_however_much_is_said(
    bridge: Bridge, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # zeroconf has a level of its own.
    for logger in ("", "zeroconf"):
        caplog.set_level("DEBUG", logger)
    asyncio.get_running_loop().set_debug(True)
    bridge.write(with_keys(bridge.board.port), pin=CODE)
    await bridge.start()
    life = Life(bridge.port, bridge.identity)
    await life.strangers()
    await life.pair()
    long_key, short_key = BIND_KEYS.values()
    for address, key in ((ROOM_1, long_key), (ROOM_2, long_key), (ROOM_1, bytes(16))):
        for counter in (1, 2, 3):
            await bridge.hear(address, encrypted(address, counter, key))
    await bridge.hear(ROOM_2, encrypted(ROOM_2, 3, short_key)[:-2])
    await life.at_home()
    await life.guests()
    await bridge.stop()
    await bridge.start()
    await life.at_home()
    await life.end()
    await bridge.stop()

    text = said(caplog.records) + "".join(capfd.readouterr())
    loggers = ("DEBUG pyhap", "DEBUG zeroconf", "DEBUG asyncio")
    for expected in (*loggers, *SAID, 'the "bindKey" in accessories.json is wrong'):
        assert expected in text, f"{expected} was not said"
    assert leaks(life.secrets, text) == set()
    # The search would have seen them.
    for name, secret in life.secrets.items():
        caplog.clear()
        logging.getLogger("hk_bridge").debug("%s", secret)
        assert name in leaks(life.secrets, said(caplog.records))


async def test_a_fault_says_where_it_is_and_not_what_it_has_seen(
    bridge: Bridge, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(exchange: object, _: object) -> None:
        raise RuntimeError(repr(vars(exchange)), CODE, bridge.identity.private_key)

    for exchange in (PairSetup, PairVerify):
        monkeypatch.setattr(exchange, "answer", fail)
    caplog.set_level("DEBUG")
    bridge.write(with_keys(bridge.board.port), pin=CODE)
    await bridge.start()
    async with await Client.connect(bridge.port) as client:
        expect_status(await client.pair_setup(state(1), (METHOD, b"\0")), 400)
        expect_status(await client.pair_verify(state(1), (PUBLIC_KEY, bytes(32))), 400)
    text = said(caplog.records)
    assert "RuntimeError" in text
    secrets: Secrets = {"code": CODE, "private key": bridge.identity.private_key}
    assert leaks(secrets, text) == set()


class Talkative(HkBridge):
    """`hk-bridge run -vv`, of which stdout goes to the log too."""

    def _command(self) -> list[str]:
        program = (
            "import os, runpy; os.dup2(2, 1); "
            "runpy.run_module('hk_bridge', run_name='__main__', alter_sys=True)"
        )
        _, _, *arguments = super()._command()
        return ["-X", "dev", "-c", program, *arguments, "-vv"]


@pytest.mark.usefixtures("_everybody_may_everything")
async def test_no_secret_is_said_by_the_program_at_vv(tmp_path: Path) -> None:
    bridge = Talkative(tmp_path)
    # Without a code of its own: one is drawn.
    config = {"accessories": with_keys("/dev/ttyUSB0")}
    (tmp_path / "accessories.json").write_text(json.dumps(config))
    bridge.start()
    try:
        life = Life(bridge.port, bridge.identity)
        await life.strangers()
        await life.pair()
        await life.at_home()
        await life.guests()
        bridge.restart()
        await life.at_home()
        await life.end()
    finally:
        bridge.stop()
    log = (tmp_path / "log").read_bytes()
    text = log.decode("latin-1") + log.decode(errors="replace")
    for expected in (" DEBUG ", "Send event", *SAID):
        assert expected in text, f"{expected} was not said"
    assert "Traceback" not in text
    assert leaks(life.secrets, text) == set()
    assert leaks(life.secrets, text + life.code) == {"setup code"}
    # While everything is open by default, what it has saved is not.
    assert {"lock", "homekit.json", "devices-simulated.json"} < names(bridge.state)
    assert exposed(bridge.state) == {}
    assert "private now" not in text


# -- what others can read ----------------------------------------------------------------


def exposed(directory: Path) -> dict[str, str]:
    """What others than the owner may do anything with, in `directory` or with it."""
    modes = {}
    for path in (directory, *directory.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # a save may be under way
            modes[path] = stat.S_IMODE(path.stat().st_mode)
    return {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}


@pytest.fixture
def _everybody_may_everything() -> Iterator[None]:
    """As a umask of 0 has it."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_everybody_may_everything")
async def test_what_is_saved_is_for_its_owner_alone(bridge: Bridge) -> None:
    await bridge.start()
    life, directory = Life(bridge.port, bridge.identity), bridge.state
    assert exposed(directory) == {}
    for step in (life.strangers, life.pair, life.at_home, life.guests):
        await step()
        assert exposed(directory) == {}
    await until((directory / "devices.json").exists)
    assert exposed(directory) == {}
    await bridge.stop()
    assert exposed(directory) == {}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name in ("homekit.json", "homekit.json.bak", "devices.json", "devices.json.bak"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


@pytest.mark.usefixtures("_everybody_may_everything")
async def test_a_damaged_file_is_set_aside_for_its_owner_alone(bridge: Bridge) -> None:
    await bridge.start()
    life = Life(bridge.port, bridge.identity)
    await bridge.stop()
    for name in ("homekit.json", "devices.json", "devices.json.bak"):
        (bridge.state / name).unlink(missing_ok=True)
        (bridge.state / name).write_text('{"privateKey": ')
    await bridge.start()
    await life.pair()
    await life.at_home()
    await bridge.stop()
    assert list(bridge.state.glob("homekit.json.damaged-*"))
    assert exposed(bridge.state) == {}


@pytest.mark.usefixtures("_everybody_may_everything")
def test_every_command_saves_for_the_owner_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hk_bridge", "pairing"]
    for arguments in (["show"], ["reset", "--yes"]):
        subprocess.run(
            [*command, *arguments, "--state-dir", "state"],
            check=True,
            capture_output=True,
            timeout=60,
            cwd=tmp_path,
        )
        assert "homekit.json" in names(tmp_path / "state")
        assert exposed(tmp_path / "state") == {}


def test_a_state_directory_that_others_could_read_is_closed_and_said_once(
    tmp_path: Path,
) -> None:
    bridge = HkBridge(tmp_path, failed_attempts=1)
    assert exposed(bridge.state) == {}
    _open(bridge.state, 0o755, 0o644)
    bridge.start()
    assert exposed(bridge.state) == {}
    bridge.restart()
    bridge.stop()
    (warning,) = [line for line in bridge.log().splitlines() if "private now" in line]
    assert " WARNING " in warning
    assert re.search("could .*read", warning)
    assert str(bridge.state) in warning


@pytest.mark.parametrize("modes", [(0o750, 0o640), (0o711, 0o604), (0o777, 0o666)])
def test_a_state_directory_is_closed_by_who_takes_it(
    tmp_path: Path, modes: tuple[int, int]
) -> None:
    Store.open(tmp_path / "state")
    _open(tmp_path / "state", *modes)
    with StateLock(tmp_path / "state"):
        assert exposed(tmp_path / "state") == {}


def test_a_state_directory_behind_a_link_is_closed_too(tmp_path: Path) -> None:
    Store.open(tmp_path / "elsewhere")
    (tmp_path / "state").symlink_to("elsewhere")
    _open(tmp_path / "elsewhere", 0o755, 0o644)
    with StateLock(tmp_path / "state"):
        assert exposed(tmp_path / "elsewhere") == {}


def _open(directory: Path, directory_mode: int, file_mode: int) -> None:
    for file in directory.iterdir():
        file.chmod(file_mode)
    directory.chmod(directory_mode)


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}
