"""Model families, and what they share: the protocol, artifacts, ranking.

A family is one module here that offers `FAMILY`; naming it in `recsys.yaml` is all that switches it on.
Business rules, days and storage stay out: a family sees weighted interactions and nothing else.
"""
