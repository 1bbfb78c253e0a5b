"""The recommender platform: one Dagster asset graph from landed events to published recommendations.

The layers, from the top: `cli`, `definitions`, the root package `sensors`, `jobs`, `serving` and
`inference`, `registry`, `validation`, `models`, `features`, `ingestion`, then `columns`,
`partitions`, `platform`, and at the bottom the root package `resources`. Each knows only those below it.
"""
