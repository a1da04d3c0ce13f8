"""accessories.json as pydantic models.

The only place that knows the keys of the file, their types, ranges, defaults and
descriptions; the JSON Schema and the words of the messages are made from it.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from hk_bridge.config.fields import (
    Adapter,
    Address,
    BindKey,
    DeviceId,
    Given,
    Id,
    Interfaces,
    MaxLevel,
    MinLevel,
    Name,
    Pin,
    Text,
    WholeNumber,
)
from hk_bridge.config.model import MOST_ACCESSORIES

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MINUTES_PER_YEAR = 365 * 24 * 60
_SECONDS_PER_DAY = 24 * 60 * 60


def _without_effect(why: str, alias: str | None = None) -> Any:  # noqa: ANN401 - any field
    return Field(
        default=None, alias=alias, deprecated=True, description=f"No effect here: {why}"
    )


class Part(BaseModel):
    """One object of the file: camelCase keys, no others, and types as JSON means them."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class Bridge(Part):
    """The bridge itself, as it shows up in Home and on the network."""

    name: Name = Field(default="HK Bridge", description="Name of the bridge in Home")
    port: WholeNumber = Field(
        default=51826, ge=1, le=65535, description="TCP port that Home connects to"
    )
    pin: Given[Pin] = Field(
        default=None,
        description="Setup code, 8 digits such as XXX-XX-XXX; absent: a random one, "
        "made once and kept",
    )
    username: Given[DeviceId] = Field(
        default=None,
        description="Device id of the bridge, six bytes in hexadecimal; absent: a random "
        "one, made once and kept",
    )
    bind: Interfaces = Field(
        default_factory=list,
        description="Addresses or network interfaces to listen on; absent: all",
    )
    max_accessories: WholeNumber = Field(
        default=MOST_ACCESSORIES,
        ge=1,
        le=MOST_ACCESSORIES,
        description="Sensors and lamps on one bridge; where there are more, further "
        "bridges open, which are added to Home as well",
    )
    remove_after: float = Field(
        default=10.0,
        ge=0,
        le=_MINUTES_PER_YEAR,
        description="Minutes that an accessory stays in Home, as No Response, after its "
        "entry is gone from this file; then Home forgets its room and automations",
    )
    advertiser: Any = _without_effect("hk-bridge has one way of announcing itself")
    manufacturer: Any = _without_effect("hk-bridge names itself")
    model: Any = _without_effect("hk-bridge names itself")
    firmware_revision: Any = _without_effect("the version of hk-bridge is shown")
    setup_id: Any = _without_effect("hk-bridge makes its own and keeps it", "setupID")


class Bluetooth(Part):
    """The radio that hears the sensors."""

    mode: Literal["auto", "passive", "active"] = Field(
        default="auto",
        description="passive: only listen, which costs the sensors no battery; active: "
        "ask them as well; auto: passive, and active where passive cannot be had",
    )
    adapter: Given[Adapter] = Field(
        default=None,
        description="Name of the adapter such as hci0, or its own Bluetooth address, "
        "which stays the same when it is plugged in elsewhere; absent: any that is on",
    )


class Sensor(Part):
    """A Bluetooth sensor for temperature, humidity, and what else it may measure."""

    accessory: Literal["Hygrothermograph", "Hygrotermograph"] = Field(
        description="Type of the accessory; both spellings mean the same"
    )
    name: Name = Field(description="Name of the sensor in Home")
    address: Given[Address] = Field(
        default=None,
        description="Bluetooth address; only a single sensor may go without, it is then "
        "the first one heard",
    )
    id: Given[Id] = Field(
        default=None,
        description="What Home remembers the sensor by; absent: its address. A new "
        "sensor takes over the old one's place with the old address as its id",
    )
    bind_key: Given[BindKey] = Field(
        default=None,
        description="Key of a sensor that encrypts, 16 (or 12) bytes in hexadecimal",
    )
    timeout: Given[float] = Field(
        default=None,
        ge=0,
        le=_MINUTES_PER_YEAR,
        description="Minutes of silence after which Home shows no response, 0: never; "
        "absent: what suits the product",
    )
    temperature_offset: float = Field(
        default=0.0, ge=-20, le=20, description="Added to each temperature, in °C"
    )
    humidity_offset: float = Field(
        default=0.0, ge=-50, le=50, description="Added to each humidity, in %"
    )
    low_battery: WholeNumber = Field(
        default=10, ge=0, le=100, description="Battery level in % that counts as low"
    )
    disable_battery_level: bool = Field(
        default=False, description="true: do not show the battery in Home"
    )
    temperature_name: Given[Name] = Field(
        default=None, description="Name of the temperature in Home"
    )
    humidity_name: Given[Name] = Field(
        default=None, description="Name of the humidity in Home"
    )
    moisture_name: Given[Name] = Field(
        default=None, description="Name of the soil moisture in Home"
    )
    illuminance_name: Given[Name] = Field(
        default=None, description="Name of the light sensor in Home"
    )
    spike_filter: bool = Field(
        default=True,
        description="true: a jump that no room makes is held back until a second frame "
        "confirms it, or for a minute",
    )
    type: Any = _without_effect("the kind of sensor is read from what it broadcasts")
    update_interval: Any = _without_effect("each value is passed on when it is heard")
    fake_gato_enabled: Any = _without_effect("fakegato is a part of Homebridge")
    fake_gato_storage_path: Any = _without_effect("fakegato is a part of Homebridge")
    fake_gato_options: Any = _without_effect("fakegato is a part of Homebridge")
    force_discovering: Any = _without_effect("hk-bridge always listens")
    force_discovering_delay: Any = _without_effect("hk-bridge always listens")
    mqtt: Any = _without_effect("hk-bridge does not publish to MQTT")
    fertility_name: Any = _without_effect("Home has no place for the conductivity of soil")


class Channel(Part):
    """One lamp of a dimmer."""

    channel: WholeNumber = Field(ge=1, le=2, description="Output of the dimmer, 1 or 2")
    name: Name = Field(description="Name of the lamp in Home")
    min_level: Given[MinLevel] = Field(
        default=None,
        description="Lowest level while the lamp is on, for lamps that flicker below it; "
        "smaller than maxLevel; absent: the whole range",
    )
    max_level: Given[MaxLevel] = Field(
        default=None,
        description="Level at full brightness; absent: the whole range",
    )
    gamma: float = Field(
        default=1.0,
        ge=0.2,
        le=5,
        description="Above 1, the lower percents have finer steps, as the eye has; 1: all "
        "steps are equal",
    )
    button: Given[Literal["cts", "dsr", "ri", "cd"]] = Field(
        default=None,
        description="Line of the serial adapter with a push-button for this lamp: a click "
        "toggles, holding it dims; absent: no button",
    )


class Dimmer(Part):
    """A dimmer board with one or two lamps, on a serial line."""

    accessory: Literal["Dimmer"] = Field(description="Type of the accessory")
    name: Name = Field(description="Name of the dimmer in messages")
    id: Given[Id] = Field(
        default=None,
        description="What Home remembers the lamps by, together with their channel; only "
        "one dimmer may go without",
    )
    port: Text = Field(
        min_length=1,
        description="Serial port such as /dev/ttyUSB0, or a URL that pyserial knows, "
        "such as socket://host:7000",
    )
    protocol: Literal["wxdm2", "girier", "qs-d01"] = Field(
        default="wxdm2", description="Kind of frames that the board understands"
    )
    baudrate: WholeNumber = Field(
        default=9600, ge=50, le=4_000_000, description="Speed of the line in baud"
    )
    ramp: WholeNumber = Field(
        default=1500,
        ge=0,
        le=65535,
        description="Length of the fade when a lamp is switched, as the board counts it",
    )
    slide_ramp: WholeNumber = Field(
        default=0,
        ge=0,
        le=65535,
        description="The same while a slider is moved or a button is held; 0: at once",
    )
    repeat: WholeNumber = Field(
        default=1,
        ge=0,
        le=10,
        description="How often the last frame of a burst is sent again, each 100 ms later",
    )
    refresh: float = Field(
        default=60.0,
        ge=0,
        le=_SECONDS_PER_DAY,
        description="Seconds after which each level is sent again, as it may be lost; "
        "0: never",
    )
    min_interval: Given[float] = Field(
        default=None,
        ge=0,
        le=1000,
        description="Milliseconds of pause between two frames; absent: what the protocol "
        "wants",
    )
    startup: Literal["restore", "off", "keep"] = Field(
        default="restore",
        description="What becomes of the lamps when the program starts. restore: they are "
        "set to what they were; off: they are switched off; keep: nothing is sent",
    )
    # The length is checked with the rules: pydantic, when it finds a list too long, says
    # nothing more about what is in it.
    channels: list[Channel] = Field(
        json_schema_extra={"minItems": 1, "maxItems": 2},
        description="The lamps that are connected, one or two",
    )


Accessory = Annotated[Sensor | Dimmer, Field(discriminator="accessory")]


class ConfigFile(Part):
    """Configuration of hk-bridge: one bridge, its radio, sensors and dimmers."""

    schema_url: Text = Field(
        alias="$schema", default="", description="For editors; no effect on the bridge"
    )
    description: Text = Field(default="", description="A note for people")
    bridge: Bridge = Field(default_factory=Bridge, description="The bridge itself")
    bluetooth: Bluetooth = Field(
        default_factory=Bluetooth, description="The radio that hears the sensors"
    )
    accessories: list[Accessory] = Field(description="All sensors and dimmers")
    platforms: Any = _without_effect("hk-bridge has no plugins")
    plugins: Any = _without_effect("hk-bridge has no plugins")
    disabled_plugins: Any = _without_effect("hk-bridge has no plugins")
    ports: Any = _without_effect("there is one port, bridge.port")
    mdns: Any = _without_effect("bridge.bind says where the bridge is announced")


class _Generator(GenerateJsonSchema):
    """JSON Schema in which an absent key is absent, and null is not a value."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if generated.get("default", "") in {None, ""}:
            generated.pop("default", None)
        return generated

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - its interface
        return False


@cache
def file_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file; callers that change it copy it first."""
    generated = ConfigFile.model_json_schema(schema_generator=_Generator)
    return {"$schema": _DIALECT, **generated, "title": "hk-bridge accessories.json"}


@cache
def without_effect(part: type[Part]) -> dict[str, str]:
    """The keys of `part` that are accepted and do nothing, with what to say of each."""
    return {
        info.alias or name: info.description or ""
        for name, info in part.model_fields.items()
        if info.deprecated
    }
