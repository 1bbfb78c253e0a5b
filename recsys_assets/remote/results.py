"""How results travel: a job says them in the words of Dagster Pipes, and this machine makes the same results of them.

Pipes carries no description of a check, so it travels among the metadata.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

DESCRIPTION = "recsys/description"
FAILURE = "recsys/failure"
"""The message of a job that failed: its words."""
PLAIN = {
    dg.TextMetadataValue: "text",
    dg.UrlMetadataValue: "url",
    dg.PathMetadataValue: "path",
    dg.NotebookMetadataValue: "notebook",
    dg.JsonMetadataValue: "json",
    dg.MarkdownMetadataValue: "md",
    dg.FloatMetadataValue: "float",
    dg.IntMetadataValue: "int",
    dg.BoolMetadataValue: "bool",
    dg.TimestampMetadataValue: "timestamp",
    dg.NullMetadataValue: "null",
}
"""Values that Pipes takes as they are, by its own names."""


def told(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, Any]:
    """Metadata as Pipes writes it; what it cannot carry is said in words."""
    return {name: _told(value) for name, value in metadata.items()}


def _told(value: dg.MetadataValue) -> dict[str, Any]:
    if type(value) in PLAIN:
        return {"type": PLAIN[type(value)], "raw_value": value.value}
    if isinstance(value, dg.DagsterAssetMetadataValue):
        return {"type": "asset", "raw_value": value.asset_key.to_user_string()}
    if isinstance(value, dg.TableMetadataValue):
        records = [dict(record.data) for record in value.records]
        return {"type": "table", "raw_value": {"records": records, "schema": _columns(value.schema)}}
    if isinstance(value, dg.TableSchemaMetadataValue):
        return {"type": "table_schema", "raw_value": {"columns": _columns(value.schema)}}
    if isinstance(value, dg.TableColumnLineageMetadataValue):
        origins = {
            column: [{"asset_key": list(dep.asset_key.path), "column_name": dep.column_name} for dep in deps]
            for column, deps in value.column_lineage.deps_by_column.items()
        }
        return {"type": "table_column_lineage", "raw_value": {"deps_by_column": origins}}
    return {"type": "text", "raw_value": str(value.value)}


def _columns(schema: dg.TableSchema) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "description": column.description,
            "tags": dict(column.tags or {}),
            "constraints": {
                "nullable": column.constraints.nullable,
                "unique": column.constraints.unique,
                "other": column.constraints.other,
            },
        }
        for column in schema.columns
    ]


def understood(
    result: dg.MaterializeResult | dg.AssetCheckResult, facts: Mapping[str, Any]
) -> dg.MaterializeResult | dg.AssetCheckResult:
    """A reported result as the job meant it.

    Args:
        result: As Pipes has read it.
        facts: Metadata about the job, for what it materialized.
    """
    metadata: dict[str, Any] = dict(result.metadata or {})
    if isinstance(result, dg.MaterializeResult):
        return result._replace(metadata={**metadata, **facts})
    sentence = metadata.pop(DESCRIPTION, None)
    return result._replace(metadata=metadata, description=None if sentence is None else sentence.text)
