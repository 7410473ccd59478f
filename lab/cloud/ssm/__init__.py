"""Systems Manager on the lab's machines."""
