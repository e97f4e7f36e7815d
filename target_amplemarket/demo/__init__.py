"""A made-up CRM export, sent through a real tap into the sandbox."""
