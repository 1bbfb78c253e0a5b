"""What readers see: published generations in the online store, and the explanation of a list."""
