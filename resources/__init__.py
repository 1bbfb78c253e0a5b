"""Connections to the outside: settings, lake, landing, engine, model registry, online store.

Resources know addresses and protocols. What the data means (schemas, rules, families) stays out:
it comes in as arguments.
"""
