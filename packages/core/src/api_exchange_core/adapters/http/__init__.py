"""Other people's APIs, asked with httpx: what answers mean, tokens, and how much of an answer is read."""
