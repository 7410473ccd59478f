"""What hardening does on the control node: the register, its checks, the reports."""
