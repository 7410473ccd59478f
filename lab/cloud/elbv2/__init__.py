"""Elastic Load Balancing on HAProxy."""
