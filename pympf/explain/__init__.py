"""What a network looked at: attribution on dataflow graphs, and what is made of it."""
