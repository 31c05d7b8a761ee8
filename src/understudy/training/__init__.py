"""Data set to checkpoint: the loop, the schedule, resuming, the report."""
