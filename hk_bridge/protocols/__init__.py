"""Bytes ↔ values, without I/O: no asyncio, no files, no clock, no logging."""
