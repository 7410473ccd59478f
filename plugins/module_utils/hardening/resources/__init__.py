"""The resource types. Each reads what is there, says purely how that differs from what is wanted, and makes it so."""
