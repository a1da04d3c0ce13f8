"""Reads and writes of characteristics, as /characteristics asks for them.

Source: docs/protocols/hap.md, "Status codes". One item that fails takes no other with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pyhap.accessory import Accessory
from pyhap.characteristic import (
    HAP_FORMAT_BOOL,
    HAP_FORMAT_FLOAT,
    HAP_FORMAT_STRING,
    PROP_FORMAT,
    PROP_MAX_VALUE,
    PROP_MIN_VALUE,
    PROP_PERMISSIONS,
    Characteristic,
)
from pyhap.const import HAP_PERMISSION_READ, HAP_SERVER_STATUS
from pyhap.service import Service

from hk_bridge.complaints import Complaints
from hk_bridge.errors import LinkError
from hk_bridge.homekit.events import Key
from hk_bridge.model import can_be_a_name

_LOG = logging.getLogger(__name__)
_complaints: Final = Complaints(_LOG)

_WRITE: Final = "pw"
_NOTIFY: Final = "ev"

#: What a thing is called, whether or not it can be reached.
_NAMES: Final = frozenset({"Name", "ConfiguredName"})

#: One item of an answer: aid, iid, status, and the value where there is one.
Item = dict[str, Any]


def _find(bridge: Accessory, aid: int, iid: int) -> Characteristic | None:
    """The characteristic with these ids; None where there is none."""
    found = bridge.get_characteristic(aid, iid)
    return found if isinstance(found, Characteristic) else None


def read(bridge: Accessory, aid: int, iid: int) -> Item:
    """One item of the answer to GET /characteristics."""
    found = _find(bridge, aid, iid)
    if found is None:
        status = HAP_SERVER_STATUS.RESOURCE_DOES_NOT_EXIST
    elif HAP_PERMISSION_READ not in found.properties[PROP_PERMISSIONS]:
        status = HAP_SERVER_STATUS.WRITE_ONLY_CHARACTERISTIC
    elif found.value is None or not _reachable(found):
        status = HAP_SERVER_STATUS.SERVICE_COMMUNICATION_FAILURE
    else:
        success = HAP_SERVER_STATUS.SUCCESS
        return {"aid": aid, "iid": iid, "status": success, "value": found.value}
    return {"aid": aid, "iid": iid, "status": status}


def changes(bridge: Accessory, keys: Iterable[Key]) -> list[Item]:
    """The items of an event: what the characteristics are set to now.

    What has become unknown is left out: HAP has no value for it.
    """
    return [
        {"aid": aid, "iid": iid, "value": found.value}
        for aid, iid in keys
        if (found := _find(bridge, aid, iid)) is not None and found.value is not None
    ]


def items_of(query: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 # whatever JSON there was
    """The items of a PUT /characteristics.

    Raises ValueError where it is none, or an aid or iid is missing or no number: then
    nothing of it is carried out.
    """
    items = query.get("characteristics") if isinstance(query, dict) else None
    if not isinstance(items, list):
        raise ValueError("no list of characteristics")
    for item in items:
        if not isinstance(item, dict):
            raise ValueError("an item that is none")
        if not type(item.get("aid")) is type(item.get("iid")) is int:
            raise ValueError("an item without aid and iid")
    return items


def write(bridge: Accessory, items: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Carry out PUT /characteristics: an item of the answer for each of `items`.

    What one request writes to one service goes there as one write, but for its name: that
    has nothing to do with whether a device can be reached.
    """
    answers: list[Item] = []
    writes: dict[tuple[Service, bool], list[tuple[Item, str, Any]]] = {}
    for item in items:
        answer: Item = {"aid": item["aid"], "iid": item["iid"]}
        answers.append(answer)
        found = _find(bridge, item["aid"], item["iid"])
        answer["status"] = refusal(bridge, item)
        if found is None or "value" not in item or answer["status"]:
            continue
        try:
            value = _native(found.properties, item["value"])
        except ValueError:
            answer["status"] = HAP_SERVER_STATUS.INVALID_VALUE_IN_REQUEST
        else:
            key = found.service, found.display_name in _NAMES
            writes.setdefault(key, []).append((answer, found.display_name, value))
    for (service, _), parts in writes.items():
        status = _write_service(service, {name: value for _, name, value in parts})
        for answer, _, _ in parts:
            answer["status"] = status
    return answers


def refusal(bridge: Accessory, item: Mapping[str, Any]) -> int:
    """The status of an item that asks for what is not to be had, else 0."""
    found = _find(bridge, item["aid"], item["iid"])
    if found is None:
        return int(HAP_SERVER_STATUS.RESOURCE_DOES_NOT_EXIST)
    permissions = found.properties[PROP_PERMISSIONS]
    if "value" in item and _WRITE not in permissions:
        return int(HAP_SERVER_STATUS.READ_ONLY_CHARACTERISTIC)
    if "ev" in item and _NOTIFY not in permissions:
        return int(HAP_SERVER_STATUS.NOTIFICATION_NOT_SUPPORTED)
    if not isinstance(item.get("ev", False), bool):
        return int(HAP_SERVER_STATUS.INVALID_VALUE_IN_REQUEST)
    return int(HAP_SERVER_STATUS.SUCCESS)


def _write_service(service: Service, values: Mapping[str, Any]) -> int:
    accessory = service.broker
    try:
        accessory.write(service, values)
    except LinkError as error:
        _complaints.say(
            (accessory.aid, str(error)), f"{accessory.display_name} was not set: {error}"
        )
        return int(HAP_SERVER_STATUS.SERVICE_COMMUNICATION_FAILURE)
    return int(HAP_SERVER_STATUS.SUCCESS)


def _reachable(characteristic: Characteristic) -> bool:
    """Lamps without a line answer for what they are, not for how they are set."""
    service = characteristic.service
    return (
        service.display_name == "AccessoryInformation"
        or characteristic.display_name in _NAMES
        or bool(service.broker.available)
    )


def _native(properties: Mapping[str, Any], value: object) -> bool | int | float | str:
    """A written value in the format of its characteristic.

    0 and 1 are booleans and 50.0 is an integer, as controllers send them; a text is a name.
    Raises ValueError for a value of another type, out of range, or not a number.
    """
    if properties[PROP_FORMAT] == HAP_FORMAT_STRING:
        if not isinstance(value, str) or not can_be_a_name(value):
            raise ValueError("not a name")
        return value
    if not isinstance(value, bool | int | float):
        raise ValueError("not a number")
    if properties[PROP_FORMAT] == HAP_FORMAT_BOOL:
        if value not in (0, 1):
            raise ValueError("not a boolean")
        return bool(value)
    low = properties.get(PROP_MIN_VALUE, value)
    high = properties.get(PROP_MAX_VALUE, value)
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError("out of range")
    if properties[PROP_FORMAT] == HAP_FORMAT_FLOAT:
        return float(value)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")
    return int(value)
