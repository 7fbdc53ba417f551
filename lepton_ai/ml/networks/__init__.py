"""Neural networks as scikit-learn estimators, on torch (the ``deep`` extra).

`network` is the base of all: parameters, `fit`, `predict`; `trainer` is its loop over epochs,
with a `holdout` to stop on, `schedules`, `augmentation` and a `checkpoint` to go on from; `graph`
is what a fit leaves, raw features in and answers out. `supervised` adds what it is to learn
classes or numbers. Families: `residual` (images), `tabular`, `autoencoder` (anomalies),
`recurrent` and `temporal` (series), `forecaster` (many series, several steps ahead). `onnx` and
`weights` write what is served.

Importing this package imports no torch; a module of it does.
"""
