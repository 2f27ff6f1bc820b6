"""JSON of identity, in and out."""
