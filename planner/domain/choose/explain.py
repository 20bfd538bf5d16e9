"""A decision in words and in the JSON names that others build on: why, why not, and the exact serve command."""
