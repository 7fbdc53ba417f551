"""Custom models: a user's own class or function, from their own installed package.

`package` tells that package apart to the byte and imports it, `estimator` puts what it holds behind
the zoo's contract, `state` keeps what was fitted as tensors and plain data, `runtime` serves it.
"""
