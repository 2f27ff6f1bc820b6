"""`python -m infra.doctor`: whether a store is fit for the platform, and what to do if not.

__main__     the command, and how findings are shown
finding      what a finding is
behaviour    what the store does: conditions, races, consistency, ranges, clock
permissions  what the credentials can do and should not, and the other way round
buckets      how the buckets are set
latency      how long it takes
"""
