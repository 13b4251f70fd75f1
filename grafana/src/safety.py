"""The safety overview: what is burning, what is hot, who has fallen silent."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardLinkType,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.src.influxql import DATASOURCE, SCOPE, AnnotationTarget, Query

UID = "gridhub-safety"
FRESH = "10m"
"""How old the last word about a grid may be: a dead hub must show "no data", not its last good numbers."""

CASE_WORDS = {
    0: ("待受理 / Reported", "red"),
    1: ("已受理 / Accepted", "orange"),
    2: ("已到场 / On scene", "yellow"),
    3: ("已结案 / Closed", "green"),
    4: ("误报 / False alarm", "blue"),
}
SEVERITY_COLOURS = {"P1": "red", "P2": "orange", "P3": "yellow", "P4": "blue"}


def build() -> Dashboard:
    """The dashboard, the same for every call."""
    board = (
        dashboard.Dashboard("社区安全总览 / Community safety")
        .uid(UID)
        .description("GridHub：未结报警、温度、烟雾、失联设备 / open alerts, temperature, smoke, silent devices")
        .tags(["gridhub", "safety"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("10s")
        .readonly()
        .with_variable(_datasource())
        .with_variable(
            _tag_variable("community", "社区 / Community", 'SHOW TAG VALUES FROM "grid_status" WITH KEY = "community"')
        )
        .with_variable(
            _tag_variable(
                "grid",
                "网格 / Grid",
                'SHOW TAG VALUES FROM "grid_status" WITH KEY = "grid" WHERE "community" =~ /^${community:regex}$/',
            )
        )
        .with_variable(
            dashboard.TextBoxVariable("console")
            .label("控制台地址 / Console address")
            .default_value("http://127.0.0.1:8080")
        )
        .link(
            dashboard.DashboardLink("控制台 / Console")
            .type(DashboardLinkType.LINK)
            .url("${console}")
            .target_blank(True)
            .icon("external link")
        )
        .annotation(_raised_alerts())
    )
    panels = [
        _open_by_severity().grid_pos(_at(0, 0, 12, 4)),
        _silent_now().grid_pos(_at(12, 0, 6, 4)),
        _devices_now().grid_pos(_at(18, 0, 6, 4)),
        _open_alerts().grid_pos(_at(0, 4, 24, 8)),
        _temperature().grid_pos(_at(0, 12, 12, 8)),
        _smoke().grid_pos(_at(12, 12, 12, 8)),
        _grids().grid_pos(_at(0, 20, 12, 9)),
        _silent_over_time().grid_pos(_at(12, 20, 12, 9)),
        _alert_log().grid_pos(_at(0, 29, 24, 9)),
    ]
    for number, panel in enumerate(panels, start=1):
        board = board.with_panel(panel.id(number))
    return board.build()


def _at(x: int, y: int, w: int, h: int) -> GridPos:
    return GridPos(x=x, y=y, w=w, h=h)


# variables and marks


def _datasource() -> dashboard.DatasourceVariable:
    return (
        dashboard.DatasourceVariable("ds")
        .label("数据源 / Data source")
        .type("influxdb")
        .current(VariableOption(selected=True, text="GridHub history", value="gridhub-history"))
    )


def _tag_variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
        .hide(VariableHide.DONT_HIDE)
    )


def _raised_alerts() -> dashboard.AnnotationQuery:
    query = f'SELECT "msg", "severity", "device" FROM "alert_event" WHERE {SCOPE} AND "action" = \'raised\''
    return (
        dashboard.AnnotationQuery()
        .name("报警 / Alerts raised")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("red")
        .target(AnnotationTarget(query, text="msg", tags="severity,device"))  # type: ignore[arg-type]  # the SDK has no InfluxQL target
    )


# now


def _open_by_severity() -> stat.Panel:
    figures = ", ".join(f'last("open_{s.lower()}") AS "{s}"' for s in SEVERITY_COLOURS)
    sums = ", ".join(f'sum("{s}") AS "{s}"' for s in SEVERITY_COLOURS)
    panel = _stat(
        "未结报警 / Open alerts", f"各级别未结报警数；{FRESH} 内无数据即为枢纽停报 / Open alerts by severity"
    ).with_target(
        Query(
            f'SELECT {sums} FROM (SELECT {figures} FROM "grid_status" WHERE {SCOPE} GROUP BY "community", "grid") WHERE $timeFilter',
            alias="$col",
        )
    )
    for severity, colour in SEVERITY_COLOURS.items():
        panel = panel.override_by_regexp(
            f"/(^|\\.){severity}$/",
            [_value("thresholds", _steps((None, "green"), (1.0, colour))), _value("displayName", severity)],
        )
    return panel.thresholds(_thresholds((None, "green"), (1.0, "red")))


def _silent_now() -> stat.Panel:
    return (
        _stat(
            "失联设备 / Silent devices", "超过应报时限未上报的设备 / Devices that have not reported within their limit"
        )
        .with_target(Query(_sum_of_last("silent")))
        .thresholds(_thresholds((None, "green"), (1.0, "orange"), (10.0, "red")))
    )


def _devices_now() -> stat.Panel:
    return (
        _stat("在册设备 / Devices", "登记在册的设备总数 / Devices in the registry")
        .with_target(Query(_sum_of_last("devices")))
        .thresholds(_thresholds((None, "blue")))
    )


def _sum_of_last(figure: str) -> str:
    return (
        f'SELECT sum("{figure}") AS "{figure}" FROM (SELECT last("{figure}") AS "{figure}" FROM "grid_status" '
        f'WHERE {SCOPE} GROUP BY "community", "grid") WHERE $timeFilter'
    )


def _stat(title: str, description: str) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("short")
        .decimals(0)
        .time_from(FRESH)
        .hide_time_override(True)
        .no_value("无数据 / no data")
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )


# tables


def _open_alerts() -> table.Panel:
    # A live alert is the only one of its rule and device, so the last event of (rule, device) is its present state.
    columns = '"alert_id", "msg", "place", "state_i", "value"'
    query = (
        f'SELECT "live_i", {columns} FROM (SELECT last("live_i") AS "live_i", {columns} FROM "alert_event" WHERE {SCOPE} '
        'GROUP BY "severity", "community", "grid", "device", "kind", "rule") WHERE $timeFilter AND "live_i" = 1 '
        'GROUP BY "severity", "grid", "device"'
    )
    panel = (
        _table("当前报警 / Alerts now", "近 30 天内触发且未结的报警 / Raised within 30 days and still open")
        .time_from("30d")
        .hide_time_override(True)
    )
    return panel.with_target(Query(query, table=True)).no_value("无未结报警 / no open alerts")


def _alert_log() -> table.Panel:
    query = (
        'SELECT "msg", "place", "action", "state_i", "severity", "grid", "device", "alert_id" FROM "alert_event" '
        f"WHERE {SCOPE} ORDER BY time DESC LIMIT 500"
    )
    return _table(
        "报警记录 / Alert log", "报警的每一步，最新在前 / Every step of every alert, newest first"
    ).with_target(Query(query, table=True))


def _grids() -> table.Panel:
    query = (
        'SELECT last("silent") AS "silent", "devices", "open_p1", "open_p2", "open_p3", "open_p4", "name" FROM "grid_status" '
        f'WHERE {SCOPE} GROUP BY "grid"'
    )
    panel = _table("网格 / Grids", "各网格的设备、失联与报警 / Devices, silent devices and open alerts of each grid")
    panel = panel.with_target(Query(query, table=True)).time_from(FRESH).hide_time_override(True)
    for name, words in {"silent": "失联 / Silent", "devices": "设备 / Devices", "name": "名称 / Name"}.items():
        panel = panel.override_by_name(name, [_value("displayName", words)])
    for severity, colour in SEVERITY_COLOURS.items():
        panel = panel.override_by_name(
            f"open_{severity.lower()}",
            [
                _value("displayName", severity),
                _value("thresholds", _steps((None, "transparent"), (1.0, colour))),
                _COLOURED,
            ],
        )
    return panel.override_by_name(
        "silent", [_value("thresholds", _steps((None, "transparent"), (1.0, "orange"), (10.0, "red"))), _COLOURED]
    )


def _table(title: str, description: str) -> table.Panel:
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit("short")
        .cell_height(common_model.TableCellHeight.SM)
        .no_value("无数据 / no data")
        .override_by_name("Time", [_value("displayName", "时间 / Time"), _value("custom.width", 170)])
        .override_by_name("live_i", [_value("custom.hidden", True)])
        .override_by_name(
            "state_i", [_value("displayName", "状态 / State"), _value("mappings", [_case_words()]), _COLOURED]
        )
        .override_by_name("alert_id", [_value("displayName", "编号 / Alert"), _value("links", [_to_the_alert()])])
    )
    words = {
        "msg": "报警 / Alert",
        "place": "位置 / Place",
        "severity": "级别 / Severity",
        "grid": "网格 / Grid",
        "device": "设备 / Device",
        "value": "数值 / Value",
        "action": "动作 / Action",
    }
    for name, shown in words.items():
        panel = panel.override_by_name(name, [_value("displayName", shown)])
    return panel


def _case_words() -> ValueMap:
    return ValueMap(
        options={
            str(code): ValueMappingResult(text=text, color=colour, index=code)
            for code, (text, colour) in CASE_WORDS.items()
        }
    )


def _to_the_alert() -> dict[str, object]:
    return {
        "title": "打开报警 / Open the alert",
        "url": "${console}/alerts/${__value.raw}",
        "targetBlank": True,
    }


# over time


def _temperature() -> timeseries.Panel:
    query = f'SELECT max("temperature_c") FROM "telemetry" WHERE {SCOPE} GROUP BY time($__interval), "grid" fill(null)'
    return (
        _chart(
            "最高温度（按网格）/ Highest temperature by grid", "每个网格最热的传感器 / The hottest sensor of each grid"
        )
        .with_target(Query(query, alias="$tag_grid"))
        .unit("celsius")
        .thresholds(_thresholds((None, "transparent"), (55.0, "orange"), (70.0, "red")))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.LINE))
    )


def _smoke() -> timeseries.Panel:
    query = (
        'SELECT sum("smoke") FROM (SELECT max("smoke") AS "smoke" FROM "telemetry" '
        f'WHERE {SCOPE} GROUP BY time($__interval), "grid", "device" fill(none)) '
        'WHERE $timeFilter GROUP BY time($__interval), "grid" fill(none)'
    )
    return (
        _chart(
            "报烟的探测器（按网格）/ Detectors reporting smoke by grid",
            "每个时段内报过烟的探测器数 / Detectors that reported smoke in each interval",
        )
        .with_target(Query(query, alias="$tag_grid"))
        .unit("short")
        .decimals(0)
        .min(0)
        .draw_style(common_model.GraphDrawStyle.BARS)
        .fill_opacity(60)
        .thresholds(_thresholds((None, "green"), (1.0, "red")))
    )


def _silent_over_time() -> timeseries.Panel:
    query = f'SELECT last("silent") FROM "grid_status" WHERE {SCOPE} GROUP BY time($__interval), "grid" fill(null)'
    return (
        _chart("失联设备（按网格）/ Silent devices by grid", "随时间变化的失联设备数 / Silent devices over time")
        .with_target(Query(query, alias="$tag_grid"))
        .unit("short")
        .decimals(0)
        .min(0)
        .thresholds(_thresholds((None, "green"), (1.0, "orange")))
    )


def _chart(title: str, description: str) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .interval("60s")
        .span_nulls(False)
        .line_width(2)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.TABLE)
            .placement(common_model.LegendPlacement.RIGHT)
            .calcs(["lastNotNull", "max"])
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .no_value("无数据 / no data")
    )


# small change


def _value(id: str, value: object) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=id, value=value)


_COLOURED = DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"})


def _steps(*steps: tuple[float | None, str]) -> dict[str, object]:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


def _thresholds(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )
