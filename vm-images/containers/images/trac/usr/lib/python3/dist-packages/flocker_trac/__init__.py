"""Runs Trac in a container: its database is behind a link, its files on a volume."""
