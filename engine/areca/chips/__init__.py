"""Chips: crops of labelled images, varied on purpose, and the targets drawn on them."""
