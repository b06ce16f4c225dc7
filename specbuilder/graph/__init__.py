"""SpecTree to TypedGraph: expansion, wiring, types, counts. No torch."""
