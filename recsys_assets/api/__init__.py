"""The API that `recsys serve` starts: published lists, real time, similar items, and the events that users cause."""
