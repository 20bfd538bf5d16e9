"""The wire: what clients send, what they get, and a typed client. It imports nothing else of the planner."""
