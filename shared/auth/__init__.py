"""Who is asking: access tokens, the issuer's keys, and the subjects that services store.

Nothing is exported here, so that naming a subject never drags in a JOSE library.
"""
