"""See `contract.py` for what a kind is."""
