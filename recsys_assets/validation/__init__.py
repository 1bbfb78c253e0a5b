"""How good a candidate is on days it has never seen, and whether that is good enough."""
