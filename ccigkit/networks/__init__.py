"""Backbones: encoder, generator and discriminator of one family."""
