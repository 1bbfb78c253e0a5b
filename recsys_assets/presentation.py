"""How tables and results show themselves in the Dagster UI, and the few things that every asset asks its context.

What the assets compute stays out.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypedDict

import dagster as dg
import polars as pl

from recsys_assets.columns import Table
from resources.lake import Days, DeltaLake, Spool
from resources.staged import StagedRows


class AssetDescription(TypedDict):
    """The arguments of `dg.asset` that a table answers by itself."""

    key: dg.AssetKey
    group_name: str
    description: str
    metadata: Mapping[str, Any]


def described(table: Table) -> AssetDescription:
    """Definition arguments of the asset that keeps `table`: key, group, description, column schema.

    Args:
        table: The table, whose first key part is the group.
    """
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.dtype),
            description=column.description + (f" [{column.unit}]" if column.unit else ""),
            constraints=dg.TableColumnConstraints(nullable=column.is_nullable),
        )
        for column in table.columns
    ]
    return {
        "key": dg.AssetKey(table.key),
        "group_name": table.key[0],
        "description": table.description,
        "metadata": {
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": table.name,
        },
    }


def column_lineage(table: Table) -> dict[str, Any]:
    """Metadata of a materialization: which columns each column was computed from."""
    dependencies = {
        column.name: [
            dg.TableColumnDep(asset_key=dg.AssetKey(source.split("/")), column_name=name)
            for source, _, name in (one.rpartition(".") for one in column.derived_from)
        ]
        for column in table.columns
        if column.derived_from
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=dependencies)}


def written(
    lake: DeltaLake,
    table: Table,
    rows: pl.DataFrame | Spool | StagedRows,
    version: int,
    check_results: Sequence[dg.AssetCheckResult] = (),
    **more: Any,
) -> dg.MaterializeResult:
    """What an asset returns after writing `rows` as Delta `version` of `table`."""
    metadata = {
        "dagster/partition_row_count": rows.height,
        "dagster/uri": lake.uri(table.name),
        "delta_version": version,
        **more,
    }
    return dg.MaterializeResult(asset_key=dg.AssetKey(table.key), metadata=metadata, check_results=check_results)


def day_range(context: dg.AssetExecutionContext) -> Days:
    """The first and the last day that the run materializes."""
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def slot_of(context: dg.AssetExecutionContext) -> date:
    """The slot that the run materializes."""
    return date.fromisoformat(context.partition_key)
