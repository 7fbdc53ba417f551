"""Runtimes: what turns a bundle's model file into answers.

`runtime` is the contract and the table of formats; `onnx` (with the `operators` it allows),
`skops`, `lightgbm` and `catboost` implement it. A `canary` reads first what a library's parser may
crash on.
Formats of networks, ensembles and custom models are implemented beside those.
"""
