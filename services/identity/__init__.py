"""Identity: accounts, who signs in to them and how, and the tokens that services trust."""
