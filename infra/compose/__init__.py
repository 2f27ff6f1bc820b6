"""The platform on one server, in containers: compose.yaml, and what makes the files it reads."""
