"""The command line, `lepton`: one file for each noun or verb."""

from lepton_ai.apps.cli.main import main

__all__ = ["main"]
