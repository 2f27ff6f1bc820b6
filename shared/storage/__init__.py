"""The storage engine: a journal in the bucket, disposable SQLite replicas beside the processes.

`docs/storage.md` is its contract. Nothing is exported here, so that importing one module (a
domain's, say) never drags in another that reaches boto3.
"""
