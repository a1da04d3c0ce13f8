"""What a sender has sent now, among what it has ever sent."""

from hk_bridge.links.fresh_data import FreshData

ROOM, OTHER = "A4:C1:38:02:83:F4", "A4:C1:38:02:83:F5"
FE95, A181, FCD2 = 0xFE95, 0x181A, 0xFCD2


def test_a_single_entry_is_always_what_was_sent() -> None:
    fresh = FreshData()
    for data in (b"a", b"a", b"b", b"a"):
        assert fresh.pick(ROOM, {FE95: data}) == {FE95: data}


def test_of_several_entries_what_has_changed_was_sent() -> None:
    fresh = FreshData()
    fresh.pick(ROOM, {FE95: b"old"})
    for data in (b"a", b"b"):
        assert fresh.pick(ROOM, {FE95: b"old", FCD2: data}) == {FCD2: data}
    assert fresh.pick(ROOM, {FE95: b"new", FCD2: b"b"}) == {FE95: b"new"}


def test_what_comes_again_is_what_came_last() -> None:
    fresh = FreshData()
    fresh.pick(ROOM, {FE95: b"old"})
    for _ in range(3):
        assert fresh.pick(ROOM, {FE95: b"old", FCD2: b"a"}) == {FCD2: b"a"}


def test_what_was_there_before_anything_was_heard_is_not_taken_for_new() -> None:
    fresh = FreshData()
    both = {FE95: b"old", FCD2: b"a"}
    assert fresh.pick(ROOM, both) == {}
    assert fresh.pick(ROOM, both) == {}
    assert fresh.pick(ROOM, {FE95: b"old", FCD2: b"b"}) == {FCD2: b"b"}


def test_two_entries_in_one_advert_are_both_new() -> None:
    fresh = FreshData()
    fresh.pick(ROOM, {FE95: b"a", A181: b"a"})
    assert fresh.pick(ROOM, {FE95: b"b", A181: b"b"}) == {FE95: b"b", A181: b"b"}


def test_each_sender_has_its_own() -> None:
    fresh = FreshData()
    fresh.pick(ROOM, {FE95: b"a"})
    assert fresh.pick(OTHER, {FE95: b"a", FCD2: b"a"}) == {}
    assert fresh.pick(ROOM, {FE95: b"a", FCD2: b"a"}) == {FCD2: b"a"}


def test_what_is_kept_in_mind_has_an_end() -> None:
    fresh = FreshData()
    for number in range(5000):
        fresh.pick(str(number), {FE95: b"a"})
    assert len(fresh._known) == 1000
    # The newest are still known.
    assert fresh.pick("4999", {FE95: b"a", FCD2: b"a"}) == {FCD2: b"a"}
    assert fresh.pick("0", {FE95: b"a", FCD2: b"a"}) == {}
