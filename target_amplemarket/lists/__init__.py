"""Grouping leads into lead lists."""
