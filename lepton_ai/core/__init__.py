"""What every layer stands on: errors, settings, ids, optional dependencies and progress.

This layer imports the standard library and msgspec only.
"""
