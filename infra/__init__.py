"""What runs the services: `make run`, containers; buckets, rights; what is watched."""
