"""Training: a seeded loop, cross-fitted completion of labels, and its loss."""
