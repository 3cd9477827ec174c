"""What is built and run: studies, their parts, and the store that keeps what they make."""
