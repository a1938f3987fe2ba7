"""Losses and networks that need torch."""
