"""Routes of the sandbox, by what they serve. No state of their own."""
