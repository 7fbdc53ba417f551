"""Machine learning: from examples to a registered, signed, measured model.

`training` trains by a name of the `zoo`; `evaluation` measures and shows the figures; `registry`
keeps each `model` by name, version and alias.

Inside: `examples` and `preparing` make features of data, `preparation` repeats that at an
endpoint; `fitting` fits, `export` writes ONNX, `parity` is the gate between the two; a `bundle`
holds the files: the model, its `description`, its `baseline`, its card (`cards`); `predictor`
loads one through a `runtimes` format (`onnx_runtime`, `skops_runtime`).
"""
