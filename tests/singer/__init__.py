"""Tests of `target_amplemarket.singer`."""
