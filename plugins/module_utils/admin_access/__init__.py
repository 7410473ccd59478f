"""Who may administer a host: named accounts, their keys and one-time codes, and what must not lie around on it."""
