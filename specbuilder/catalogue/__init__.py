"""WHAT a spec can name: one class per kind, a lazy index of them, and how their fields are checked."""
