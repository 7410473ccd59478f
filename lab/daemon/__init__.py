"""The one process of a lab: how it is started and ended, what it is put together of, and its HTTP servers."""
