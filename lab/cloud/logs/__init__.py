"""CloudWatch Logs that takes metrics out of log events."""
