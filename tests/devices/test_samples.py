"""Means of the climate, the last of all else, and when there is enough."""

from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hk_bridge.devices.samples import Samples
from hk_bridge.model import Quantity

CLIMATE: frozenset[Quantity] = frozenset({"temperature", "humidity", "battery"})
TENTHS = st.integers(-400, 850).map(lambda tenths: tenths / 10)


def taken(*frames: dict[Quantity, float]) -> Samples:
    samples = Samples()
    for second, values in enumerate(frames):
        samples.add(values, float(second))
    return samples


@given(st.lists(TENTHS, min_size=1, max_size=50))
def test_a_climate_is_the_mean_of_all_samples(values: list[float]) -> None:
    samples = Samples()
    for value in values:
        samples.add({"temperature": value}, 0.0)
    assert samples.value("temperature") == pytest.approx(fmean(values), abs=1e-9)
    assert samples.count("temperature") == len(values)


def test_all_else_is_what_came_last() -> None:
    samples = taken({"battery": 90.0, "voltage": 3.0}, {"battery": 80.0})
    assert (samples.value("battery"), samples.value("voltage")) == (80.0, 3.0)
    assert samples.last["battery"].at == 1.0
    assert samples.last["voltage"].at == 0.0


def test_zero_is_a_value() -> None:
    samples = taken({"temperature": 0.0, "battery": 0.0})
    assert (samples.value("temperature"), samples.value("battery")) == (0.0, 0.0)


def test_what_never_came_has_no_value() -> None:
    samples = taken({"temperature": 20.0})
    assert samples.value("humidity") is None
    assert samples.value("battery") is None
    assert samples.count("humidity") == 0


def test_it_waits_for_both_and_never_for_the_battery() -> None:
    samples = Samples()
    samples.add({"temperature": 20.0}, 0.0)
    samples.add({"temperature": 20.1}, 1.0)
    samples.add({"humidity": 50.0}, 2.0)
    assert samples.are_enough(1, CLIMATE)
    assert not samples.are_enough(2, CLIMATE)
    samples.add({"humidity": 50.0}, 3.0)
    assert samples.are_enough(2, CLIMATE)


def test_it_does_not_wait_for_what_the_sensor_cannot_measure() -> None:
    plant: frozenset[Quantity] = frozenset({"temperature", "moisture"})
    pot: frozenset[Quantity] = frozenset({"moisture"})
    assert taken({"temperature": 20.0}).are_enough(1, plant)
    assert not taken({"moisture": 20.0}).are_enough(1, plant)
    assert taken({"moisture": 20.0}).are_enough(5, pot)
    assert not Samples().are_enough(1, pot)
