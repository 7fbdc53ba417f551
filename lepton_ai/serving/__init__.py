"""Serving: models that answer requests, on this machine.

`deployment` deploys models, `process` starts and stops the server, `receipts` tells what was
answered, `client` asks. The server itself: `supervisor` keeps `replica` processes running; each
has the ASGI application of `server` over the table of `endpoints`, behind `gate`; `service` holds
its models, `batching` runs them, `reconcile` swaps them, `journal` remembers the answers. Bodies
are read and written by `oip` (with `tensors`), `records` and `uploads`.
"""
