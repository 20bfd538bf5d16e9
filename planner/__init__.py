"""The planner: chooses, explains and records."""

__version__ = "0.1.0"
