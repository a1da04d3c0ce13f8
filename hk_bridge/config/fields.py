"""The types of single values in accessories.json: what is allowed, and what it becomes.

What a range alone does not explain has an "errorMessage" beside it, which is what VS Code
shows and what messages.py says. "writeOnly" marks a secret: its value is never shown.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from hk_bridge.model import LONGEST_NAME, can_be_a_name, parse_address
from hk_bridge.protocols.setup_code import TRIVIAL_CODES, parse_setup_code

#: Types of the custom errors below; messages.py has the words.
REFUSED = "refused"
TRIVIAL_CODE = "trivial_code"

_SIX_BYTES = "^[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})$"
#: As BlueZ names adapters: the number has 16 bits, and no zeros before it.
_ADAPTER_NAME = "hci(?:0|[1-9][0-9]{0,4})"
_NO_CONTROL = "[^\\u0000-\\u001f\\u007f-\\u009f]*"

T = TypeVar("T")


def _refused() -> PydanticCustomError:
    return PydanticCustomError(REFUSED, "refused")


def _not_null(value: object) -> object:
    if value is None:
        raise _refused()
    return value


def _whole(value: object) -> object:
    """5.0 is a whole number in JSON, which has one kind of number only."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: str) -> str:
    """Half characters (lone surrogates) can be written in JSON, and nowhere else."""
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _refused()
    return value


def _name(value: str) -> str:
    if not can_be_a_name(value):
        raise _refused()
    return value


def _address(value: str) -> str:
    address = parse_address(value)
    if address is None:
        raise _refused()
    return address


def _adapter(value: str) -> str:
    return value if re.fullmatch(_ADAPTER_NAME, value) else _address(value)


def _pin(value: str) -> str:
    code = parse_setup_code(value)
    if code is None:
        raise _refused()
    if code in TRIVIAL_CODES:
        raise PydanticCustomError(TRIVIAL_CODE, "trivial")
    return code


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Given = Annotated[T | None, BeforeValidator(_not_null)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]
Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[
    Text,
    AfterValidator(_name),
    Field(
        min_length=1,
        json_schema_extra={
            "maxLength": LONGEST_NAME,
            "pattern": f"^{_NO_CONTROL}[^\\s\\u0000-\\u001f\\u007f-\\u009f]{_NO_CONTROL}$",
            "errorMessage": f"allowed is a name of 1 to {LONGEST_NAME} characters that is "
            "not blank and has no line breaks or other control characters",
        },
    ),
]
Id = Annotated[Text, Field(min_length=1, max_length=64)]
Address = Annotated[
    str,
    AfterValidator(_address),
    Field(
        json_schema_extra={
            "pattern": _SIX_BYTES,
            "errorMessage": "allowed is a Bluetooth address such as 4C:64:A8:D0:AE:65",
        }
    ),
]
Adapter = Annotated[
    str,
    AfterValidator(_adapter),
    Field(
        json_schema_extra={
            "pattern": f"^{_ADAPTER_NAME}$|{_SIX_BYTES}",
            "errorMessage": "allowed is the name of an adapter such as hci0, or its own "
            "Bluetooth address such as 00:1A:7D:DA:71:13",
        }
    ),
]
DeviceId = Annotated[
    str,
    AfterValidator(_address),
    Field(
        json_schema_extra={
            "pattern": _SIX_BYTES,
            "errorMessage": "allowed is a device id such as CC:22:3D:E3:CE:30",
        }
    ),
]
Pin = Annotated[
    str,
    AfterValidator(_pin),
    Field(
        json_schema_extra={
            "writeOnly": True,
            "pattern": "^[0-9]{3}-?[0-9]{2}-?[0-9]{3}$",
            "errorMessage": "allowed is eight digits in the form XXX-XX-XXX",
        }
    ),
]
BindKey = Annotated[
    str,
    Field(
        pattern="^(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{24})$",
        json_schema_extra={
            "writeOnly": True,
            "errorMessage": "allowed is 32 (or 24) hexadecimal digits",
        },
    ),
]
#: A minimum must be below a maximum, and no maximum is above 255.
MinLevel = Annotated[int, Field(ge=0, le=254), BeforeValidator(_whole)]
MaxLevel = Annotated[int, Field(ge=1, le=255), BeforeValidator(_whole)]
Interface = Annotated[Text, Field(min_length=1)]
Interfaces = Annotated[
    list[Interface],
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}},
            ],
            "errorMessage": "allowed is an address or the name of a network interface, "
            "or a list of them",
        }
    ),
]
