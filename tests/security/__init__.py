"""What stands against a hostile input, server or surrounding, and what must never be said aloud."""
