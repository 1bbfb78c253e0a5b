"""The life of a version: released, approved or refused. What serves is decided by the alias, and only here."""
