"""Attacks: an objective is a number to raise for each example, a search raises it inside a set."""
