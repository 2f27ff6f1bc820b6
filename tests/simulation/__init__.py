"""A simulator of the storage engine: seeded, and the same again for the same seed.

    python -m tests.simulation replay --seed 7 --steps 20000

The engine runs unmodified. What it stands on is replaced: threads and locks by `threads`, file
locks, descriptors and SQLite's commits by `machine`, the object store by `store`, clocks by
`machine`. Exactly one thread runs at a time; at every lock, store call, commit and look at a clock
another may be let run instead, and at some of them its process dies or stands still.

`shop` is what clients do, `cluster` what they do it to, `checker` judges what they were told.
"""
