"""Data sets made of others: merged, split, sampled and filtered. Each is a conversion with one more step."""
