"""What every service stands on: clock, settings, errors, auth, web glue, the storage engine.

Nothing here imports `services`.
"""
