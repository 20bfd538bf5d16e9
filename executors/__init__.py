"""Executors do the work on a host: environments, backends, measurement, publication."""
