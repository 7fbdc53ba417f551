"""The distributed computing framework: one contract, an engine for each place work can run.

`engine` holds the contract, `worker` what travels to a worker, `local` the engines of this
machine (threads, processes), `ray` the one of a cluster.
"""
