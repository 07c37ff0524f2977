"""Modules that compute on integers."""
