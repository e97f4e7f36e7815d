"""Sending lead lists and classifying what came of it."""
