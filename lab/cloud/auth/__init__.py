"""Who may call the lab's API, and what it answers to others."""
