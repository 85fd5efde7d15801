"""Estimates of one policy's value from the log of another, beside what was logged when it ran."""
