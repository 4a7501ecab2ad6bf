"""Formats for each layer: how much each costs and loses, and the choices that no other beats."""
