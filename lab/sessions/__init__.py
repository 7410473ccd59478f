"""Session Manager's data channel: message framing, the reliable stream over a WebSocket, and what is behind it on a machine.

After the source of session-manager-plugin (src/message, src/datachannel) and of amazon-ssm-agent (agent/session). Knows nothing of the
records of EC2 and Systems Manager.
"""
