"""Processes of a job that a launcher started."""
