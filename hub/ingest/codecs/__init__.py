"""One file per dialect. To add one: write the file, add its line to CODECS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from hub.ingest.codecs import (
    aws_shadow,
    chirpstack,
    dahua_vto,
    gb26875,
    generic_json,
    homeassistant,
    homie,
    kepware,
    milesight_raw,
    native,
    ocpp_mqtt,
    rtl_433,
    senml,
    shelly_gen2,
    sparkplug,
    tasmota,
    the_things_stack,
    thingsboard,
    wirenboard,
    zhenshi_anpr,
    zigbee2mqtt,
)
from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.thing_models import DIALECTS
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

if TYPE_CHECKING:
    from hub.ingest.mapping import Profile

__all__ = ["CODECS", "Codec", "CodecContext", "CodecKind", "HandWritten", "Profiled"]


class Codec(Protocol):
    """Reads one dialect below one topic root. Pure: no clock, no network. Never raises, whatever the bytes."""

    @property
    def name(self) -> str: ...

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        """What the message says, per device; or why it says nothing that can be understood."""
        ...


class CodecKind(Protocol):
    """A row of the table: how to make a codec for a root, and what to subscribe to for it."""

    @property
    def make(self) -> Callable[[str, CodecContext], Codec]: ...

    @property
    def filters(self) -> Callable[[str], tuple[Filter, ...]]:
        """The subscriptions for a root. Those of a dialect without a root have wildcards in their first level."""
        ...

    @property
    def usual_root(self) -> str: ...

    @property
    def root_of(self) -> Callable[[str], str]:
        """The root that a lone topic most likely has (for tools, never for the live path)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HandWritten:
    """A dialect in Python."""

    make: Callable[[str, CodecContext], Codec]
    filters: Callable[[str], tuple[Filter, ...]]
    usual_root: str
    root_of: Callable[[str], str]


class Profiled:
    """A dialect that a profile describes; one that comes with the hub is read when it is first asked for."""

    def __init__(self, name: str, profile: Profile | None = None) -> None:
        self.name = name
        if profile is not None:
            self.profile = profile

    @cached_property
    def profile(self) -> Profile:
        from hub.ingest.mapping import load, shipped_folder

        return load(shipped_folder() / f"{self.name}.yaml", f"devices/profiles/{self.name}.yaml")[0]

    @property
    def usual_root(self) -> str:
        return self.profile.root

    def make(self, root: str, context: CodecContext) -> Codec:
        from hub.ingest.mapping import ProfileCodec

        return ProfileCodec(self.profile, root, context)

    def filters(self, root: str) -> tuple[Filter, ...]:
        given = self.profile.subscribe
        if not given:
            return (Filter(f"{root}/#" if root else "#"),)
        return tuple(Filter(under(root, s.topic), s.lane) for s in given)

    def root_of(self, topic: str) -> str:
        root, levels = self.profile.root, topic.split("/")
        if root and (topic == root or topic.startswith(root + "/")):
            return root
        if root and f"/{root}/" in topic:  # a usual root below a prefix
            return topic[: topic.index(f"/{root}/") + len(root) + 1]
        count = self.profile.root_levels
        return "/".join(levels[: count + 1] if topic.startswith("/") and count else levels[:count])


def under(root: str, topic: str) -> str:
    """`topic` of a profile's subscriptions with `root` in its place."""
    return topic.replace("{root}", root) if root else topic.removeprefix("{root}/")


def _profiles(*names: str) -> dict[str, CodecKind]:
    return {name: Profiled(name) for name in names}


CODECS: dict[str, CodecKind] = {
    native.NAME: HandWritten(
        make=native.NativeCodec, filters=native.filters, usual_root="sc/v1", root_of=native.root_of
    ),
    zigbee2mqtt.NAME: HandWritten(
        make=zigbee2mqtt.Zigbee2MqttCodec,
        filters=zigbee2mqtt.filters,
        usual_root="zigbee2mqtt",
        root_of=zigbee2mqtt.root_of,
    ),
    senml.NAME: HandWritten(make=senml.SenmlCodec, filters=senml.filters, usual_root="senml", root_of=senml.root_of),
    generic_json.NAME: HandWritten(
        make=generic_json.GenericJsonCodec,
        filters=generic_json.filters,
        usual_root="sensors",
        root_of=generic_json.root_of,
    ),
    chirpstack.NAME: HandWritten(
        make=chirpstack.ChirpStackCodec,
        filters=chirpstack.filters,
        usual_root="application",
        root_of=chirpstack.root_of,
    ),
    the_things_stack.NAME: HandWritten(
        make=the_things_stack.TheThingsStackCodec,
        filters=the_things_stack.filters,
        usual_root="v3",
        root_of=the_things_stack.root_of,
    ),
    milesight_raw.NAME: HandWritten(
        make=milesight_raw.MilesightRawCodec,
        filters=milesight_raw.filters,
        usual_root="milesight",
        root_of=milesight_raw.root_of,
    ),
    shelly_gen2.NAME: HandWritten(
        make=shelly_gen2.ShellyGen2Codec, filters=shelly_gen2.filters, usual_root="", root_of=shelly_gen2.root_of
    ),
    tasmota.NAME: HandWritten(
        make=tasmota.TasmotaCodec, filters=tasmota.filters, usual_root="", root_of=tasmota.root_of
    ),
    sparkplug.NAME: HandWritten(
        make=sparkplug.SparkplugCodec, filters=sparkplug.filters, usual_root="spBv1.0", root_of=sparkplug.root_of
    ),
    thingsboard.NAME: HandWritten(
        make=thingsboard.ThingsBoardCodec, filters=thingsboard.filters, usual_root="", root_of=thingsboard.root_of
    ),
    **{
        dialect.name: HandWritten(
            make=dialect.make, filters=dialect.filters, usual_root=dialect.usual_root, root_of=dialect.root_of
        )
        for dialect in DIALECTS
    },
    homie.HOMIE4: HandWritten(make=homie.make4, filters=homie.filters, usual_root="homie", root_of=homie.root4_of),
    homie.HOMIE5: HandWritten(make=homie.make5, filters=homie.filters, usual_root="homie/5", root_of=homie.root5_of),
    aws_shadow.NAME: HandWritten(
        make=aws_shadow.AwsShadowCodec,
        filters=aws_shadow.filters,
        usual_root="$aws/things",
        root_of=aws_shadow.root_of,
    ),
    rtl_433.NAME: HandWritten(
        make=rtl_433.Rtl433Codec, filters=rtl_433.filters, usual_root="rtl_433", root_of=rtl_433.root_of
    ),
    wirenboard.NAME: HandWritten(
        make=wirenboard.WirenBoardCodec, filters=wirenboard.filters, usual_root="/devices", root_of=wirenboard.root_of
    ),
    kepware.NAME: HandWritten(
        make=kepware.KepwareCodec, filters=kepware.filters, usual_root="iotgateway", root_of=kepware.root_of
    ),
    ocpp_mqtt.NAME: HandWritten(
        make=ocpp_mqtt.OcppCodec, filters=ocpp_mqtt.filters, usual_root="ocpp", root_of=ocpp_mqtt.root_of
    ),
    zhenshi_anpr.NAME: HandWritten(
        make=zhenshi_anpr.ZhenshiCodec, filters=zhenshi_anpr.filters, usual_root="", root_of=zhenshi_anpr.root_of
    ),
    dahua_vto.NAME: HandWritten(
        make=dahua_vto.DahuaVtoCodec, filters=dahua_vto.filters, usual_root="DahuaVTO", root_of=dahua_vto.root_of
    ),
    gb26875.NAME: HandWritten(
        make=gb26875.Gb26875Codec, filters=gb26875.filters, usual_root="gb26875", root_of=gb26875.root_of
    ),
    homeassistant.NAME: HandWritten(
        make=homeassistant.HomeAssistantCodec,
        filters=homeassistant.filters,
        usual_root="homeassistant",
        root_of=homeassistant.root_of,
    ),
    # described by devices/profiles/<name>.yaml
    **_profiles(
        "acrel",
        "battery-cabinet",
        "dny-bridge",
        "ebike-fleet",
        "esp-rfid",
        "esphome",
        "evcc",
        "everest",
        "face-terminal",
        "frigate",
        "glow",
        "go-e",
        "hikvision-isapi",
        "nuki-hub",
        "openevse",
        "openmqttgateway",
        "openwb",
        "shelly-gen1",
        "smartevse",
        "twcmanager",
        "unifi-access-mqtt",
        "victron",
        "wmbusmeters",
    ),
}
"""The codecs of this hub, by the name used in `sources` of hub.yaml."""
