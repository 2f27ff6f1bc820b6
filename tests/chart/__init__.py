"""The Helm chart, rendered with each value set; nothing here needs a cluster."""
