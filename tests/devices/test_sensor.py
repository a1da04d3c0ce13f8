"""A sensor: ages, copies, values that cannot be, and what may be shown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.devices.sensor import NEVER, Sensor, SensorView
from hk_bridge.devices.spikes import Measurement
from hk_bridge.model import Quantity, Reading

TIMEOUT = 900.0
NOTHING = SensorView(None, None, None, None)
ROOM: dict[Quantity, tuple[float, float]] = {
    "temperature": (-40, 85),
    "humidity": (0, 100),
    "battery": (0, 100),
}


def carrying(values: Mapping[Quantity, float], counter: int | None = 1) -> Reading:
    return Reading("mibeacon", 0x01AA, counter, values=values)


def heard(counter: int | None = 1, **values: float) -> Reading:
    """A frame as decoders hand it over: what cannot be is only named."""
    assert values.keys() <= ROOM.keys()
    good = {
        name: values[name]
        for name, (low, high) in ROOM.items()
        if name in values and low <= values[name] <= high
    }
    bad = tuple(name for name in ROOM if name in values and name not in good)
    return replace(carrying(good, counter), implausible=bad)


def sensor_after(*readings: tuple[float, Reading], **options: Any) -> Sensor:
    """One that takes what it hears; what it holds back is in test_spikes.py."""
    options.setdefault("spike_filter", False)
    sensor = Sensor(options.pop("timeout", TIMEOUT), **options)
    for at, reading in readings:
        sensor.update(reading, at)
    return sensor


# What may be shown -------------------------------------------------------------------


def test_before_the_first_reading_nothing_is_known() -> None:
    sensor = Sensor(TIMEOUT)
    assert sensor.view(0.0) == NOTHING
    assert sensor.expires(0.0) == NEVER
    assert sensor.measurements == {}


def test_a_reading_is_shown_as_it_was_sent() -> None:
    sensor = sensor_after((5.0, heard(temperature=20.4, humidity=39.4, battery=93)))
    assert sensor.view(5.0) == SensorView(20.4, 39.4, 93, low_battery=False)
    assert sensor.refused == 0


def test_a_frame_changes_only_what_it_carries() -> None:
    sensor = sensor_after(
        (0.0, heard(1, temperature=20.4, humidity=39.4)), (1.0, heard(2, temperature=20.5))
    )
    assert sensor.view(1.0) == SensorView(20.5, 39.4, None, None)


def test_zero_is_a_value() -> None:
    sensor = sensor_after((0.0, heard(temperature=0.0, humidity=0.0, battery=0)))
    view = sensor.view(0.0)
    assert view == SensorView(0.0, 0.0, 0, low_battery=True)
    assert view.temperature is not None


def test_zero_replaces_another_value() -> None:
    sensor = sensor_after(
        (0.0, heard(1, temperature=3.1, humidity=7.5, battery=4)),
        (1.0, heard(2, temperature=0.0, humidity=0.0, battery=0)),
    )
    assert sensor.view(1.0) == SensorView(0.0, 0.0, 0, low_battery=True)


def test_the_battery_is_a_whole_number() -> None:
    # After a restart it comes from a file, as any other number.
    sensor = Sensor(TIMEOUT)
    sensor.restore("battery", Measurement(93.0, 0.0))
    assert type(sensor.view(0.0).battery) is int


@pytest.mark.parametrize(
    ("battery", "limit", "low"),
    [(11, 10, False), (10, 10, True), (9, 10, True), (0, 0, True), (1, 0, False)],
)
def test_a_battery_is_low_from_its_limit_down(battery: int, limit: int, low: bool) -> None:
    sensor = sensor_after((0.0, heard(battery=battery)), low_battery=limit)
    assert sensor.view(0.0).low_battery is low


def test_ten_per_cent_is_low_unless_told_otherwise() -> None:
    assert sensor_after((0.0, heard(battery=10))).view(0.0).low_battery is True
    assert sensor_after((0.0, heard(battery=11))).view(0.0).low_battery is False


# Age ---------------------------------------------------------------------------------


def test_a_value_is_too_old_exactly_at_its_time_out() -> None:
    sensor = sensor_after((100.0, heard(temperature=20.4, humidity=39.4)))
    assert sensor.view(999.999).temperature == 20.4
    assert sensor.view(999.999).humidity == 39.4
    assert sensor.view(1000.0) == NOTHING


def test_each_quantity_has_an_age_of_its_own() -> None:
    sensor = sensor_after(
        (0.0, heard(1, temperature=20.4)), (500.0, heard(2, humidity=39.4))
    )
    assert sensor.view(899.0) == SensorView(20.4, 39.4, None, None)
    assert sensor.view(900.0) == SensorView(None, 39.4, None, None)
    assert sensor.view(1400.0) == NOTHING


def test_a_battery_frame_does_not_refresh_the_temperature() -> None:
    sensor = sensor_after((0.0, heard(1, temperature=20.4)), (899.0, heard(2, battery=93)))
    assert sensor.view(900.0) == SensorView(None, None, 93, low_battery=False)


def test_the_battery_never_ages() -> None:
    sensor = sensor_after((0.0, heard(battery=93)))
    assert sensor.view(1e9) == SensorView(None, None, 93, low_battery=False)
    assert sensor.expires(0.0) == NEVER


def test_a_new_value_starts_a_new_age() -> None:
    sensor = sensor_after(
        (0.0, heard(1, temperature=20.4)), (800.0, heard(2, temperature=20.4))
    )
    assert sensor.view(1699.0).temperature == 20.4
    assert sensor.view(1700.0).temperature is None


def test_a_value_without_a_time_out_never_ages() -> None:
    sensor = sensor_after((0.0, heard(temperature=20.4, humidity=39.4)), timeout=NEVER)
    assert sensor.view(1e12) == SensorView(20.4, 39.4, None, None)
    assert sensor.expires(0.0) == NEVER


def test_a_time_out_that_is_changed_counts_at_once() -> None:
    # The product is known only with the first frame, and the time-out follows it.
    sensor = sensor_after((0.0, heard(temperature=20.4)))
    sensor.timeout = 7200.0
    assert sensor.view(7199.0).temperature == 20.4
    assert sensor.expires(0.0) == 7200.0


def test_the_next_expiry_is_that_of_the_oldest_live_value() -> None:
    sensor = sensor_after(
        (0.0, heard(1, temperature=20.4)),
        (50.0, heard(2, battery=93)),
        (100.0, heard(3, humidity=39.4)),
    )
    assert sensor.expires(100.0) == 900.0
    assert sensor.expires(899.0) == 900.0
    assert sensor.expires(900.0) == 1000.0
    assert sensor.expires(1000.0) == NEVER


@given(
    st.floats(0, 1e7),
    st.floats(0, 1e7),
    st.sampled_from([900.0, 7200.0]) | st.floats(60, 1e6),
)
def test_at_its_expiry_a_value_is_gone(first: float, gap: float, timeout: float) -> None:
    # Whoever wakes up at that time must not find the value alive for one more rounding.
    sensor = sensor_after(
        (first, heard(1, temperature=20.4)),
        (first + gap, heard(2, humidity=39.4)),
        timeout=timeout,
    )
    now = sensor.expires(first)
    assert sensor.view(now).temperature is None
    now = sensor.expires(now)
    if now != NEVER:
        assert sensor.view(now) == NOTHING


def test_rounding_keeps_no_value_alive_at_its_expiry() -> None:
    # (3818.9 + 900) - 3818.9 is 899.9999999999995 to a computer.
    sensor = sensor_after((3818.9, heard(temperature=20.4)))
    assert sensor.view(sensor.expires(3818.9)) == NOTHING


# Copies ------------------------------------------------------------------------------


def test_a_frame_with_the_last_counter_brings_no_new_value() -> None:
    sensor = sensor_after(
        (0.0, heard(7, temperature=20.4, humidity=39.4, battery=93)),
        (1.0, heard(7, temperature=99.0, humidity=99.0, battery=9)),
        (2.0, heard(7, temperature=21.0, humidity=41.0, battery=8)),
    )
    assert sensor.view(2.0) == SensorView(20.4, 39.4, 93, low_battery=False)


def test_a_copy_refreshes_the_age_of_what_it_carries_and_of_nothing_else() -> None:
    sensor = sensor_after(
        (0.0, heard(6, humidity=39.4)),
        (1.0, heard(7, temperature=20.4)),
        (800.0, heard(7, temperature=20.4)),
    )
    assert sensor.view(900.0) == SensorView(20.4, None, None, None)
    assert sensor.view(1699.0).temperature == 20.4
    assert sensor.view(1700.0) == NOTHING


def test_a_copy_does_not_bring_a_quantity_that_was_never_heard() -> None:
    sensor = sensor_after(
        (0.0, heard(7, temperature=20.4)), (1.0, heard(7, temperature=20.4, humidity=39.4))
    )
    assert sensor.view(1.0) == SensorView(20.4, None, None, None)


def test_a_late_copy_of_an_earlier_frame_does_nothing() -> None:
    sensor = sensor_after(
        (0.0, heard(7, temperature=20.4)),
        (1.0, heard(8, temperature=20.5)),
        (2.0, heard(7, temperature=20.4)),
        (3.0, heard(8, temperature=20.5)),
    )
    assert sensor.measurements == {"temperature": Measurement(20.5, 3.0)}


def test_what_a_frame_makes_current_is_told() -> None:
    sensor = Sensor(TIMEOUT)
    assert sensor.update(heard(1, temperature=20.4, battery=93), 0.0) == {
        "temperature": 20.4,
        "battery": 93,
    }
    assert sensor.update(heard(1, temperature=20.4, battery=93), 1.0) == {}
    assert sensor.update(heard(2, temperature=60.0, humidity=39.4), 3.0) == {
        "humidity": 39.4
    }
    assert sensor.update(heard(3, temperature=60.1), 4.0) == {"temperature": 60.1}


def test_counter_zero_marks_copies_too() -> None:
    sensor = sensor_after(
        (0.0, heard(0, temperature=20.4)), (1.0, heard(0, temperature=20.5))
    )
    assert sensor.view(1.0).temperature == 20.4


def test_a_frame_without_a_counter_is_a_copy_where_it_says_the_same() -> None:
    sensor = Sensor(TIMEOUT)
    assert sensor.update(heard(None, temperature=20.4), 0.0) == {"temperature": 20.4}
    assert sensor.update(heard(None, temperature=20.4), 1.0) == {}
    assert sensor.measurements == {"temperature": Measurement(20.4, 1.0)}
    assert sensor.update(heard(None, temperature=20.5), 2.0) == {"temperature": 20.5}


def test_a_counter_that_comes_round_after_the_time_out_is_new() -> None:
    sensor = sensor_after(
        (0.0, heard(7, temperature=20.4)), (900.0, heard(7, temperature=25.0))
    )
    assert sensor.view(900.0).temperature == 25.0


def test_a_counter_that_stands_still_keeps_no_old_value() -> None:
    sensor = sensor_after(
        *[(60.0 * number, heard(7, temperature=20.0 + number)) for number in range(10)]
    )
    assert sensor.measurements == {"temperature": Measurement(29.0, 540.0)}


def test_a_copy_that_says_something_else_makes_nothing_fresh() -> None:
    sensor = sensor_after(
        (0.0, heard(7, temperature=20.4)), (3.9, heard(7, temperature=25.0))
    )
    assert sensor.measurements == {"temperature": Measurement(20.4, 0.0)}


# Values that cannot be ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("temperature", -40.0),
        ("temperature", 85.0),
        ("humidity", 0.0),
        ("humidity", 100.0),
        ("battery", 0),
        ("battery", 100),
    ],
)
def test_the_ends_of_what_a_room_can_have_are_taken(
    quantity: Quantity, value: float
) -> None:
    sensor = sensor_after((0.0, carrying({quantity: value})))
    assert sensor.measurements == {quantity: Measurement(value, 0.0)}
    assert sensor.refused == 0


def test_a_value_that_cannot_be_is_counted() -> None:
    sensor = sensor_after((0.0, heard(humidity=101.0, temperature=-40.1)))
    assert sensor.view(0.0) == NOTHING
    assert sensor.refused == 2


def test_unknown_objects_are_counted_each_by_itself_and_not_without_end() -> None:
    sensor = Sensor(TIMEOUT)
    for counter in range(1, 4):
        sensor.update(replace(heard(counter), unknown=(0x1018, 0x1101)), float(counter))
    sensor.update(replace(heard(3), unknown=(0x1018, 0x1101)), 4.0)  # a copy
    assert sensor.unknown == {0x1018: 3, 0x1101: 3}
    for counter in range(1000):
        reading = replace(heard(counter % 256), unknown=(counter,))
        sensor.update(reading, 10.0 + counter)
    assert len(sensor.unknown) == 32
    assert sensor.unknown[0x1018] == 3


def test_beside_a_refused_value_the_others_are_taken() -> None:
    sensor = sensor_after((0.0, heard(temperature=20.4, humidity=101.0, battery=93)))
    assert sensor.view(0.0) == SensorView(20.4, None, 93, low_battery=False)
    assert sensor.refused == 1


def test_a_refused_value_is_counted_once_for_all_its_copies() -> None:
    sensor = sensor_after(*[(float(at), heard(7, humidity=101.0)) for at in range(5)])
    assert sensor.refused == 1
    sensor.update(heard(8, humidity=101.0, temperature=99.9), 6.0)
    assert sensor.refused == 3


def test_a_refused_value_leaves_the_old_one_and_its_age() -> None:
    sensor = sensor_after(
        (0.0, heard(6, humidity=39.4)),
        (800.0, heard(7, humidity=101.0)),
        (801.0, heard(7, humidity=101.0)),
    )
    assert sensor.view(899.0).humidity == 39.4
    assert sensor.view(900.0).humidity is None


# Offsets -----------------------------------------------------------------------------


def test_offsets_are_applied_once_however_often_a_frame_comes() -> None:
    sensor = sensor_after(
        (0.0, heard(7, temperature=20.3, humidity=39.4, battery=50)),
        (1.0, heard(7, temperature=20.3, humidity=39.4, battery=50)),
        temperature_offset=0.1,
        humidity_offset=-2.5,
    )
    for _ in range(2):
        # 20.3 + 0.1 is 20.400000000000002 to a computer, and 20.4 to everybody else.
        assert sensor.view(1.0) == SensorView(20.4, 36.9, 50, low_battery=False)
    assert sensor.measurements["temperature"] == Measurement(20.3, 1.0)
    assert sensor.measurements["humidity"] == Measurement(39.4, 1.0)


@pytest.mark.parametrize(
    ("temperature", "humidity", "offset", "expected"),
    [
        (84.9, 98.0, 5.0, (85.0, 100.0)),
        (-39.9, 2.0, -5.0, (-40.0, 0.0)),
        (-5.0, 5.0, 5.0, (0.0, 10.0)),
    ],
)
def test_an_offset_does_not_lead_out_of_what_a_room_can_have(
    temperature: float, humidity: float, offset: float, expected: tuple[float, float]
) -> None:
    sensor = sensor_after(
        (0.0, heard(temperature=temperature, humidity=humidity)),
        temperature_offset=offset,
        humidity_offset=offset,
    )
    view = sensor.view(0.0)
    assert (view.temperature, view.humidity) == expected
    assert sensor.refused == 0


# More quantities ---------------------------------------------------------------------


def test_soil_and_light_are_shown_and_age() -> None:
    sensor = sensor_after((0.0, carrying({"moisture": 18, "illuminance": 14})))
    assert sensor.view(899.0) == SensorView(None, None, None, None, 18, 14)
    assert sensor.is_live(899.0)
    assert sensor.view(900.0) == NOTHING
    assert not sensor.is_live(900.0)


def test_what_home_does_not_show_is_among_the_last_values() -> None:
    said: dict[Quantity, float] = {
        "conductivity": 599,
        "formaldehyde": 1.25,
        "voltage": 2.939,
    }
    sensor = sensor_after((0.0, carrying(said)))
    assert sensor.view(0.0) == NOTHING
    assert sensor.is_live(0.0)
    last = sensor.last_values(1000.0)
    assert {name: value.value for name, value in last.items()} == said
    assert {name: value.is_live for name, value in last.items()} == {
        "conductivity": False,
        "formaldehyde": False,
        "voltage": True,
    }


@pytest.mark.parametrize(
    ("said", "low"),
    [
        ({"lowBattery": 1}, True),
        ({"lowBattery": 0}, False),
        ({"lowBattery": 1, "battery": 50}, True),
        ({"lowBattery": 0, "battery": 50}, False),
        ({"lowBattery": 0, "battery": 5}, True),
    ],
)
def test_a_battery_is_low_too_where_the_sensor_says_so(
    said: dict[Quantity, float], low: bool
) -> None:
    sensor = sensor_after((0.0, carrying(said)))
    assert sensor.view(1e6).low_battery is low


# What is held back -------------------------------------------------------------------


def test_a_jump_is_shown_once_it_is_confirmed() -> None:
    sensor = Sensor(TIMEOUT)
    for at, temperature in enumerate((20.4, 60.0)):
        sensor.update(heard(at, temperature=temperature), float(at))
    assert sensor.view(1.0).temperature == 20.4
    sensor.update(heard(2, temperature=60.2), 2.0)
    assert sensor.view(2.0).temperature == 60.2


def test_a_spike_is_never_shown() -> None:
    sensor = Sensor(TIMEOUT)
    for at, temperature in enumerate((20.4, 60.0, 20.5)):
        sensor.update(heard(at, temperature=temperature), float(at))
        assert sensor.view(float(at)).temperature in {20.4, 20.5}
    assert sensor.expires(2.0) == 902.0


def test_a_jump_that_nobody_refutes_is_shown_after_a_minute() -> None:
    sensor = Sensor(TIMEOUT)
    sensor.update(heard(1, temperature=20.4), 0.0)
    sensor.update(heard(2, temperature=60.0), 10.0)
    assert sensor.expires(10.0) == 70.0
    sensor.settle(69.9)
    assert sensor.view(69.9).temperature == 20.4
    sensor.settle(70.0)
    assert sensor.view(70.0).temperature == 60.0
    assert sensor.measurements == {"temperature": Measurement(60.0, 10.0)}


def test_a_jump_that_counts_after_a_minute_is_told_with_the_next_frame() -> None:
    sensor = Sensor(TIMEOUT)
    sensor.update(heard(1, temperature=20.4), 0.0)
    assert sensor.update(heard(2, temperature=60.0), 10.0) == {}
    assert sensor.update(heard(3, battery=93), 80.0) == {"temperature": 60.0, "battery": 93}
    assert sensor.settle(1000.0) == {}


def test_copies_of_a_held_frame_neither_confirm_it_nor_refresh_the_old_value() -> None:
    sensor = Sensor(TIMEOUT)
    sensor.update(heard(1, temperature=20.4), 0.0)
    for at in range(10, 60, 10):
        sensor.update(heard(2, temperature=60.0), float(at))
    assert sensor.measurements == {"temperature": Measurement(20.4, 0.0)}
    sensor.settle(70.0)
    assert sensor.measurements == {"temperature": Measurement(60.0, 50.0)}


def test_without_the_filter_every_value_is_shown_at_once() -> None:
    sensor = Sensor(TIMEOUT, spike_filter=False)
    for at, temperature in enumerate((20.4, 60.0, -12.3)):
        sensor.update(heard(at, temperature=temperature), float(at))
        assert sensor.view(float(at)).temperature == temperature


def test_a_held_value_is_offset_once_like_any_other() -> None:
    sensor = Sensor(TIMEOUT, temperature_offset=0.5)
    for at, temperature in enumerate((20.4, 60.0, 60.0)):
        sensor.update(heard(at, temperature=temperature), float(at))
    assert sensor.view(2.0).temperature == 60.5


# After a restart ---------------------------------------------------------------------


def test_the_age_of_a_restored_value_goes_on_counting() -> None:
    sensor = Sensor(TIMEOUT, temperature_offset=0.5)
    sensor.restore("temperature", Measurement(20.4, -500.0))
    assert sensor.expires(0.0) == 400.0
    assert sensor.view(399.0).temperature == 20.9
    assert sensor.view(400.0).temperature is None


def test_a_restored_value_of_unknown_age_is_too_old() -> None:
    sensor = Sensor(TIMEOUT)
    sensor.restore("temperature", Measurement(20.4, -NEVER))
    assert sensor.view(0.0) == NOTHING
    assert sensor.expires(0.0) == NEVER


def test_a_restored_battery_is_shown_whatever_its_age() -> None:
    sensor = Sensor(TIMEOUT)
    sensor.restore("battery", Measurement(93, -NEVER))
    assert sensor.view(0.0) == SensorView(None, None, 93, low_battery=False)


def test_the_first_frame_after_a_restart_is_new() -> None:
    sensor = Sensor(TIMEOUT)
    sensor.restore("temperature", Measurement(20.4, -10.0))
    sensor.update(heard(0, temperature=21.0), 0.0)
    assert sensor.measurements == {"temperature": Measurement(21.0, 0.0)}


# For every sequence ------------------------------------------------------------------

readings = st.builds(
    lambda counter, values: heard(counter, **values),
    st.none() | st.integers(0, 2),
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.integers(-450, 900).map(lambda tenths: tenths / 10),
            "humidity": st.integers(-50, 1050).map(lambda tenths: tenths / 10),
            "battery": st.integers(-1, 101),
        },
    ),
)
pauses = st.sampled_from([0.0, 1.0, 450.0, 899.0, 900.0, 901.0]) | st.floats(0, 2000)


@given(st.lists(st.tuples(pauses, readings), max_size=12), pauses)
def test_no_value_is_shown_that_was_not_heard_within_the_time_out(
    story: list[tuple[float, Reading]], pause: float
) -> None:
    sensor = Sensor(TIMEOUT, spike_filter=False)
    now = 0.0
    last_heard: dict[Quantity, float] = {}
    sent: dict[Quantity, set[float]] = {quantity: set() for quantity in ROOM}
    for gap, reading in [*story, (pause, heard(None))]:
        now += gap
        sensor.update(reading, now)
        for quantity, value in reading.values.items():
            last_heard[quantity] = now
            sent[quantity].add(value)
        view = sensor.view(now)
        for quantity in ROOM:
            shown = getattr(view, quantity)
            if shown is None:
                continue
            assert shown in sent[quantity]
            assert quantity == "battery" or now < last_heard[quantity] + TIMEOUT


@given(st.lists(st.tuples(pauses, readings), max_size=12), readings)
def test_a_new_frame_is_shown_whatever_came_before(
    story: list[tuple[float, Reading]], last: Reading
) -> None:
    sensor = Sensor(TIMEOUT, spike_filter=False)
    now = 0.0
    for gap, reading in story:
        now += gap
        sensor.update(reading, now)
    sensor.update(carrying(last.values, 9), now)  # a counter ahead of all others
    view = sensor.view(now)
    for quantity, value in last.values.items():
        if ROOM[quantity][0] <= value <= ROOM[quantity][1]:
            assert getattr(view, quantity) == value


def test_what_is_adjusted_forgets_nothing_that_was_heard() -> None:
    sensor = Sensor(900.0)
    reading = Reading("mibeacon", 0x01AA, 7, values={"temperature": 20.0})
    assert sensor.update(reading, 0.0) == {"temperature": 20.0}
    sensor.adjust(60.0, 1.5, 0.0, 10, spike_filter=False)
    # The same frame again is still the same one.
    assert sensor.update(reading, 1.0) == {}
    assert sensor.view(1.0).temperature == 21.5
    assert sensor.view(62.0).temperature is None
