"""Obstacles to depth compression: networks of bounded norm, parities, and what they show."""
