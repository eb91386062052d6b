"""Measure the playground with many pages at once, and next to a training without a page."""
