"""From records to leads: mapping, canonical forms, identities."""
