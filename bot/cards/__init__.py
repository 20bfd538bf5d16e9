"""Cards: pure functions from a record to Block Kit blocks. No input, no output, no clock."""
