"""The distributed computing framework: one contract, an engine for each place work can run.

`engine` holds the contract, `local` the engines of this machine.
"""
