"""Text to `SpecTree`: read, decode, expressions, names."""
