"""JSON of health: what clients send (loaded), what they get (rendered, and checked in tests)."""
