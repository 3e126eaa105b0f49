"""Model cards, architectures, adapters and the built-in weights.

Start with `card` (what a model is), then `handle` (`load_model`), `network` (the
architecture) and `adapter` (how a worker runs it). Only `network`, `adapter` and
`weights` import torch, so a card can be read without it.
"""
