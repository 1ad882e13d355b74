"""A local Pareta service: speaks the same wire, really answers, keeps exact books, and misbehaves on demand."""
