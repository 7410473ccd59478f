"""Auto Scaling on the lab's instances."""
