"""The feature store: business rules, the views computed by them, and the assets that keep the views.

A model's author reads from here and never sees a business rule. Nothing here knows a model.
"""
