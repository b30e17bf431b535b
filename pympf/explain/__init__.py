"""What a network looked at: attributions, and what follows from them (docs/attribution.md)."""
