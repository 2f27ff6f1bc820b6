"""What runs the services: the gateway, the embedded stores, `make run`, `make token`."""
