"""Amazon Linux stand-ins made from the machine's own Debian packages: base root file systems and signed RPM repositories."""
