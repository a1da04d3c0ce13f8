"""Another host has the name that the bridge would have."""

from __future__ import annotations

from tests.network.avahi import Service
from tests.network.conftest import NOT_VERIFIED, PORT, Home
from tests.network.programs import Program, until

OTHER_ID = "11:22:33:44:55:66"
OTHER_PORT = 4711


async def publish(home: Home, name: str) -> Program:
    """Have the visitor offer an accessory of this name."""
    publisher = await home.visitor.start(
        "stdbuf", "-oL", "avahi-publish", "--service", name, "_hap._tcp", str(OTHER_PORT),
        f"id={OTHER_ID}",
    )  # fmt: skip
    await publisher.says("Established under name")
    return publisher


def names(services: list[Service], device_id: str) -> set[str]:
    return {each.name for each in services if each.txt.get("id") == device_id}


async def told_apart(home: Home) -> tuple[str, str]:
    """The name of the bridge and that of the other, once they are two."""

    def are_two(services: list[Service]) -> bool:
        mine, other = names(services, home.bridge.id), names(services, OTHER_ID)
        return len(mine) == len(other) == 1 and mine != other

    services = await until(home.house.browse, are_two)
    services = await until(home.visitor.browse, are_two)
    for each in services:
        expected = PORT if each.txt["id"] == home.bridge.id else OTHER_PORT
        assert each.port == expected
    assert await home.answers("10.77.0.2") == NOT_VERIFIED
    return names(services, home.bridge.id).pop(), names(services, OTHER_ID).pop()


async def test_a_name_that_is_taken_before_the_start(home: Home) -> None:
    await home.wire()
    watch = await home.visitor.watch()
    await home.bridge.start()
    name = (await home.found("10.77.0.2", "fd77::2"))[0].name
    await home.bridge.program.end()
    await watch.says("-;eth0;IPv4")
    await watch.says("-;eth0;IPv6")
    await publish(home, name)
    await home.bridge.start()
    mine, other = await told_apart(home)
    assert mine.startswith(name)
    assert other.startswith(name)


async def test_a_name_that_another_takes_while_it_runs(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    name = (await home.found("10.77.0.2", "fd77::2"))[0].name
    publisher = await publish(home, name)
    mine, _ = await told_apart(home)
    await publisher.end()
    # Only the other has gone.
    await until(home.visitor.browse, lambda them: not names(them, OTHER_ID))
    assert names(await home.visitor.browse(), home.bridge.id) == {mine}
