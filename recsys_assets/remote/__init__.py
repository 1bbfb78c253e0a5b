"""Assets that are computed elsewhere: what this machine asks of a job, and how results travel.

Where jobs run is known to `resources.spark_jobs`; the program of a job is `recsys_assets.spark_jobs`.
"""
