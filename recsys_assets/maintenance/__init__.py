"""Keeping the lake small and quick: which days are kept, and what is compacted, dropped and removed."""
