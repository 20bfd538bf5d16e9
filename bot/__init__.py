"""The bot: tells people in Slack what the planner chose and how its jobs go."""
