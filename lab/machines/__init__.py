"""Machines of systemd-nspawn: root file systems, boot, control groups."""
