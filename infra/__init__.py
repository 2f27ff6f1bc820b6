"""What runs the platform: the local runner, provisioning, the gateway, the embedded store."""
