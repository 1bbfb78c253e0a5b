"""Daily lists: rank every user with the approved versions, blend the families, fill up with the fallback."""
