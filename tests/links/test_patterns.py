"""What passive scans ask for is heard by every BlueZ, and crashes none."""

from __future__ import annotations

from hk_bridge.links.patterns import monitors


def test_patterns_have_the_uuid_for_one_bluez_and_the_products_for_the_other() -> None:
    (patterns,) = monitors([0xFE95, 0x181A], [0x01AA, 0x055B])
    assert [(start, int(kind), data.hex()) for start, kind, data in patterns] == [
        (0, 0x16, "95fe"),
        (0, 0x16, "1a18"),
        (2, 0x16, "aa01"),
        (2, 0x16, "5b05"),
    ]


def test_no_monitor_has_an_eighth_pattern_and_none_is_lost() -> None:
    for count in range(40):
        parts = monitors([0xFE95], range(count))
        assert all(1 <= len(part) <= 7 for part in parts)
        assert sum(map(len, parts)) == count + 1
