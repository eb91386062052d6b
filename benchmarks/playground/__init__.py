"""Measures the playground with many pages at once, and beside a training without a page."""
