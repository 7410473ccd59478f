"""EC2 on the lab's machines."""
