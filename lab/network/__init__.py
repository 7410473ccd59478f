"""The lab's network namespace, and how threads, sockets and commands get into it."""
