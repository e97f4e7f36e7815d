"""Durable local writes and the results folder's lock."""
