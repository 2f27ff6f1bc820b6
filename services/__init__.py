"""One package a domain. They never import each other; they meet over HTTP and events."""
