"""Recorded and live calls made again: candidates, shadows, replays, and how answers differ."""
