"""Tests of the storage engine: its invariants, its properties, and what breaks it."""
