"""From landed files to canonical tables: whatever a shop delivers is accepted, or set aside with a reason.

`reading` turns the bytes of a file into raw rows, `canonical` turns raw rows into typed ones, `days` finds
the files of a day, `draft` writes a first `recsys.yaml`. All of these are pure; only `assets` knows Dagster.
"""
