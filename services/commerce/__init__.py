"""Pavilions, stores, products, stock and orders."""
