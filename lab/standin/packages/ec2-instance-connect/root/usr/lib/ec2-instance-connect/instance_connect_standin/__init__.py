"""A stand-in for EC2 Instance Connect's scripts on a host. Runs on the machine's own Python, standard library and openssl only."""
