"""Amazon Linux stand-ins: base root file systems and a signed RPM repository for each release, made from the machine's own Debian packages."""
