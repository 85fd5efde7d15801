"""Checks of what arrived: volumes, prices, clocks. They read hourly counts and the tail of the log, and report to the
review list."""
