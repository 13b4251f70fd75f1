"""InfluxQL targets for the dashboards. Only what 1.x, 2.x and 3 all understand; every name is quoted."""

from __future__ import annotations

from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

DATASOURCE = DataSourceRef(type_val="influxdb", uid="${ds}")
SCOPE = '$timeFilter AND "community" =~ /^${community:regex}$/ AND "grid" =~ /^${grid:regex}$/'
"""What every panel's WHERE begins with: the time range and the two variables."""


class Query(variants.Dataquery, Builder[variants.Dataquery]):
    """One raw InfluxQL query of a panel; `alias` names its series, `table` asks for a table instead of series."""

    def __init__(self, query: str, *, alias: str = "", table: bool = False, ref_id: str = "A") -> None:
        self.query, self.alias, self.ref_id = query, alias, ref_id
        self.result_format = "table" if table else "time_series"

    def build(self) -> Query:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": DATASOURCE,
            "query": self.query,
            "rawQuery": True,
            "resultFormat": self.result_format,
            "alias": self.alias,
        }


class AnnotationTarget:
    """The events that a query finds, drawn as marks over every chart."""

    def __init__(self, query: str, *, text: str, tags: str) -> None:
        self.query, self.text, self.tags = query, text, tags

    def build(self) -> AnnotationTarget:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "refId": "Annotation",
            "query": self.query,
            "rawQuery": True,
            "fromAnnotations": True,
            "textColumn": self.text,
            "tagsColumn": self.tags,
        }
