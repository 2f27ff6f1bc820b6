"""Benchmarks, and the peers that they are measured against. No part of the platform."""
