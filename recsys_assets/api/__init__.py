"""The real-time API: stored lists, lists for a moment, similar items, and events. HTTP stays in here."""
