"""What a run will do, completely, before it starts: frozen plain data with every default filled in."""
