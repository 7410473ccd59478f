"""Load balancers as HAProxy processes. Knows nothing of AWS: what to balance comes as a `Plan`."""
