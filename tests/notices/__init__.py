"""Tests of notices: what is said, and that it is said once."""
