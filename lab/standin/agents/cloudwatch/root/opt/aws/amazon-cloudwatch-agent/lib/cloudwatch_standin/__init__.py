"""Stand-in for the Amazon CloudWatch agent: reads its configuration and refuses a wrong one, ships log files, collects no metrics."""
