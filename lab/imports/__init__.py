"""Real container images as base images."""
