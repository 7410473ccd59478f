"""EC2 Instance Connect: a public key that a host's sshd accepts for a minute."""
