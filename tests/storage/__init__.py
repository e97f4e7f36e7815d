"""Tests of `target_amplemarket.storage`."""
