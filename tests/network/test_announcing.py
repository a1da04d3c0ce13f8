"""The bridge is found by others, beside an avahi-daemon on its own host."""

from __future__ import annotations

from tests.network.avahi import PRINTER, escaped
from tests.network.conftest import NOT_VERIFIED, PORT, Home


async def test_another_host_finds_the_bridge_with_all_it_must_say(home: Home) -> None:
    await home.wire()
    await home.bridge.start()
    services = await home.found("10.77.0.2", "fd77::2")
    assert {each.protocol for each in services} == {"IPv4", "IPv6"}
    for each in services:
        assert each.name.startswith("Flur ")
        assert each.host.endswith(".local")
        assert each.host not in ("house.local", "visitor.local")
        assert each.port == PORT
        assert each.txt["sf"] == "1"
        assert each.txt["ci"] == "2"
        assert int(each.txt["c#"]) >= 1
    for address in ("10.77.0.2", "fd77::2"):
        assert await home.answers(address) == NOT_VERIFIED


async def test_the_bridge_and_its_hosts_avahi_are_both_found(home: Home) -> None:
    await home.house.publish("printer", PRINTER)
    await home.wire()
    await home.bridge.start()
    for host in (home.visitor, home.house):
        await home.found("10.77.0.2", "fd77::2", on=host)
        assert {each.name for each in await host.browse("_ipp._tcp")} == {"A printer"}
        assert {each.host for each in await host.browse("_ipp._tcp")} == {"house.local"}
    assert "10.77.0.2" in await home.visitor.do("avahi-resolve", "-4n", "house.local")


async def test_the_bridge_says_goodbye(home: Home) -> None:
    await home.wire()
    watch = await home.visitor.watch()
    await home.bridge.start()
    name = escaped((await home.found("10.77.0.2", "fd77::2"))[0].name)
    await watch.says("+;eth0;IPv4", name)
    assert await home.bridge.program.end() == 0
    for protocol in ("IPv4", "IPv6"):
        await watch.says(f"-;eth0;{protocol}", name, within=5)


async def test_several_bridges_are_found_and_all_say_goodbye(home: Home) -> None:
    await home.wire()
    watch = await home.visitor.watch()
    await home.bridge.start(accessories=5, maxAccessories=2)
    ids = [identity.device_id for identity in home.bridge.identities]
    assert len(ids) == 3
    for number, device_id in enumerate(ids):
        line = await watch.says("=;eth0;IPv4", "10.77.0.2", f'"id={device_id}"')
        assert f";10.77.0.2;{PORT + number};" in line
        assert await home.answers("10.77.0.2", PORT + number) == NOT_VERIFIED
    names = {line.split(";")[3] for line in watch.lines if line.startswith("=")}
    assert len(names) == 3
    assert await home.bridge.program.end() == 0
    for name in names:
        await watch.says("-;eth0;IPv4", name, within=5)
