"""The coats of the thing models: topics and bodies of each cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hub.ingest.codecs.thing_model import Dialect, Found, sub_devices, whole
from hub.ingest.topics import Filter


def _alink(body: dict[str, Any], kind: str, device: str, product: str, child: str) -> Iterator[Found]:
    """Alibaba: params, or properties and subDevices inside them."""
    params = body.get("params")
    uid = f"{product}/{device}"
    if "pack" in kind or (
        isinstance(params, dict) and ("subDevices" in params or isinstance(params.get("properties"), dict))
    ):
        params = whole(params)
        if isinstance(params.get("properties"), dict) and params["properties"]:
            yield device, uid, "", params["properties"], None, False
        yield from sub_devices(params.get("subDevices"), device)
    elif "history" in kind:
        for one in sub_devices(params if isinstance(params, list) else None, device):
            yield (*one[:5], True)
        for entry in params if isinstance(params, list) else []:  # Alibaba: properties is a list of records
            identity = whole(entry.get("identity")) if isinstance(entry, dict) else {}
            records = entry.get("properties") if isinstance(entry, dict) else None
            own = identity.get("deviceName")
            for record in records[:500] if isinstance(records, list) and isinstance(own, str) else []:
                if isinstance(record, dict):
                    yield str(own), f"{identity.get('productKey', product)}/{own}", "", record, None, True
    elif "/event/" in f"/{kind}/" and "property" not in kind:
        return
    elif isinstance(params, dict):
        yield device, uid, "", params, None, False
    elif isinstance(params, list):
        yield from sub_devices(params, device)


def _alink_event(body: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    """thing/event/{name}/post, except property: an event with output parameters."""
    levels = kind.split("/")
    if "event" not in levels or "property" in levels:
        return []
    name = levels[levels.index("event") + 1] if levels.index("event") + 1 < len(levels) else "event"
    params = whole(body.get("params"))
    output = params.get("value") if isinstance(params.get("value"), dict) else params
    if name == "post":  # OneNET: params names the events
        return [(str(k)[:64], whole(whole(v).get("value", v))) for k, v in list(params.items())[:50]]
    return [(name[:64], whole(output))]


def _alink_time(body: dict[str, Any]) -> Any:
    params = whole(body.get("params"))
    return params.get(
        "time", next((whole(v).get("time") for v in params.values() if isinstance(v, dict) and "time" in v), None)
    )


def _onenet(body: dict[str, Any], kind: str, device: str, product: str, child: str) -> Iterator[Found]:
    """China Mobile: as Alink; in the old protocol dp is {name: [{v, t}]}."""
    points = body.get("dp")
    if kind.startswith("dp/") or isinstance(points, dict):
        yield device, f"{product}/{device}", "", whole(points), None, False
    elif "pack" in kind:
        params = body.get("params")
        yield from sub_devices(params if isinstance(params, list) else whole(params).get("subDevices"), device)
    elif "history" in kind:
        params = body.get("params")
        for name, uid, gateway, values, at, _ in sub_devices(params if isinstance(params, list) else [params], device):
            yield name, uid, gateway if name != device else "", values, at, True
    elif "property" in kind:
        yield device, f"{product}/{device}", "", whole(body.get("params")), None, False


def _huawei(body: dict[str, Any], kind: str, device: str, product: str, child: str) -> Iterator[Found]:
    """services[].properties with event_time; devices[] behind a gateway; ROMA writes data and eventTime."""
    entries = body.get("devices")
    if isinstance(entries, list):
        for entry in entries[:500]:
            if not isinstance(entry, dict):
                continue
            name = entry.get("device_id", entry.get("deviceId"))
            if isinstance(name, str) and name:
                for service in _services(entry.get("services")):
                    yield name[:128], name[:128], device, *service, False
        return
    for service in _services(body.get("services")):
        yield device, device, "", *service, False


def _services(entries: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    for entry in entries[:200] if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            values = entry.get("properties", entry.get("data"))
            if isinstance(values, dict):
                yield values, entry.get("event_time", entry.get("eventTime"))


def _huawei_event(body: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    if "events" not in kind:
        return []
    return (
        [
            (str(service.get("event_type", "event"))[:64], whole(service.get("paras")))
            for service in (body.get("services") or ())[:50]
            if isinstance(service, dict) and not str(service.get("service_id", "")).startswith("$")
        ]
        if isinstance(body.get("services"), list)
        else []
    )


def _tuya(body: dict[str, Any], kind: str, device: str, product: str, child: str) -> Iterator[Found]:
    data = body.get("data")
    if "batch" in kind:
        both = whole(data)
        yield device, device, "", whole(both.get("properties")), body.get("time"), False
        subs = both.get("subDevices")
        for name, entry in list(subs.items())[:500] if isinstance(subs, dict) else []:
            yield (
                str(name)[:128],
                str(name)[:128],
                device,
                whole(whole(entry).get("properties")),
                body.get("time"),
                False,
            )
    elif "event" not in kind or "property" in kind:
        values = whole(data)
        inner = values.get("properties")
        yield device, device, "", inner if isinstance(inner, dict) else values, body.get("time"), "history" in kind


def _tuya_event(body: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    data = whole(body.get("data"))
    code = data.get("eventCode")
    return [(code[:64], whole(data.get("outputParams")))] if isinstance(code, str) and code else []


def _tencent(body: dict[str, Any], kind: str, device: str, product: str, child: str) -> Iterator[Found]:
    if body.get("method") in ("report", "report_info", None) or "params" in body:
        if "event" in kind:
            return
        params = body.get("params")
        yield device, f"{product}/{device}", "", whole(params), body.get("timestamp"), False
    subs = whole(body.get("payload")).get("devices")
    for entry in subs[:500] if isinstance(subs, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("device_name"), str):
            name = entry["device_name"][:128]
            yield name, f"{entry.get('product_id', '')}/{name}", device, whole(entry.get("params")), None, False


def _tencent_event(body: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    name = body.get("eventId")
    return [(name[:64], whole(body.get("params")))] if isinstance(name, str) and name else []


def _jetlinks(body: dict[str, Any], kind: str, device: str, product: str, child: str) -> Iterator[Found]:
    name = child or body.get("deviceId")
    name = name if isinstance(name, str) and name else device
    own_uid = f"{product}/{name}" if product and not child else name
    if "properties" in body:
        yield (
            name[:128],
            own_uid[:256],
            device if child else "",
            whole(body["properties"]),
            body.get("timestamp"),
            False,
        )


def _jetlinks_event(body: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    levels = kind.split("/")
    if levels[0] != "event" or len(levels) < 2:
        return []
    data = body.get("data")
    return [(levels[1][:64], whole(data))]


def _jetlinks_presence(kind: str, body: dict[str, Any]) -> bool | None:
    return {"online": True, "register": True, "offline": False, "unregister": False}.get(kind)


ALINK: Final = Dialect(
    "alink",
    r"(?P<product>[^/]+)/(?P<device>[^/]+)/(?P<kind>.+)\Z",
    _alink,
    lambda root: tuple(
        Filter(f"{root}/+/+/thing/{rest}")
        for rest in ("event/+/post", "event/property/pack/post", "event/property/history/post")
    ),
    usual_root="/sys",
    event=_alink_event,
    event_time=_alink_time,
)
ONENET: Final = Dialect(
    "onenet",
    r"(?P<product>[^/]+)/(?P<device>[^/]+)/(?:thing/)?(?P<kind>.+)\Z",
    _onenet,
    lambda root: (Filter(f"{root}/+/+/thing/#"), Filter(f"{root}/+/+/dp/post/#")),
    usual_root="$sys",
    event=_alink_event,
    event_time=_alink_time,
)
HUAWEI: Final = Dialect(
    "huawei-iotda",
    r"(?:devices/)?(?P<device>[^/]+)/(?P<kind>(?:sys/)?.+)\Z",
    _huawei,
    lambda root: (
        tuple(
            Filter(f"{root}/{rest}")
            for rest in ("+/sys/properties/report", "+/sys/gateway/sub_devices/properties/report", "+/sys/events/up")
        )
        if root.startswith("$")
        else (Filter(f"{root}/+/datas"),)
    ),
    usual_root="$oc/devices",
    event=_huawei_event,
)
TUYA: Final = Dialect(
    "tuya-link",
    r"(?P<device>[^/]+)/thing/(?P<kind>.+)\Z",
    _tuya,
    lambda root: (Filter(f"{root}/+/thing/#"),),
    usual_root="tylink",
    event=_tuya_event,
    event_time=lambda body: body.get("time"),
    tuya=True,
)
TENCENT: Final = Dialect(
    "tencent-iot",
    r"(?P<kind>up/(?:property|event|service|history)|down/[a-z]+|gateway/operation|up/[a-z/]+)/(?P<product>[^/]+)/(?P<device>[^/]+)\Z",
    _tencent,
    lambda root: (Filter(f"{root}/up/#"),),
    usual_root="$thing",
    ignored=r"\Adown/",
    event=_tencent_event,
    event_time=lambda body: body.get("timestamp"),
)
JETLINKS: Final = Dialect(
    "jetlinks",
    r"/?(?P<product>[^/]+)/(?P<device>[^/]+)/(?:child/(?P<child>[^/]+)/)?(?P<kind>(?:properties|event|online|offline|register|unregister|function|read|write|message|firmware|tags|metadata)(?:/.*)?)\Z",
    _jetlinks,
    lambda root: tuple(
        Filter(f"{root}/+/+/{rest}")
        for rest in (
            "properties/report",
            "event/+",
            "online",
            "offline",
            "child/+/properties/report",
            "child/+/event/+",
            "child/+/online",
            "child/+/offline",
        )
    ),
    usual_root="",
    ignored=r"\A(?:function|firmware|tags|metadata|properties/(?:read|write)(?:\Z|/))",
    event=_jetlinks_event,
    event_time=lambda body: body.get("timestamp"),
    presence=_jetlinks_presence,
)
DIALECTS: Final = (ALINK, ONENET, HUAWEI, TUYA, TENCENT, JETLINKS)
