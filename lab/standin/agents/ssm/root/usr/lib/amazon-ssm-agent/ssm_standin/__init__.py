"""A stand-in for the Amazon SSM Agent: Python's standard library only, no code of Amazon's.

agent.py talks to AWS; worker.py runs one command in a process of its own, so that a restart of the agent does not end it;
they share a state file per command (state.py). document.py is the meaning of a document, shell.py the one plugin.
"""

VERSION = "3.3.987.0"
NAME = "amazon-ssm-agent"
