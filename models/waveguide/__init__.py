"""Waveguides: what their modes say, over width and height."""
