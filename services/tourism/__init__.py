"""Tourism: attractions, and timed tickets to them."""
