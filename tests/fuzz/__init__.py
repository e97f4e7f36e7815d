"""Long searches for inputs that break what the readers promise: `python -m tests.fuzz --seconds 600`."""
