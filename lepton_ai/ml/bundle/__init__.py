"""The bundle: what is kept of one model.

`bundle` seals its files and checks them; `description` is the facts among them, with the
`signature` of what the model takes and gives, the `machine` it was trained on and, of one that came
with the package, its `origin`; `cards` tells people.
"""
