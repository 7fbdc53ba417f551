"""The doors of the platform: what people and programs enter by."""
