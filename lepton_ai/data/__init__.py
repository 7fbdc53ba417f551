"""Data: readers, image sets, tables, preprocessing, encodings and splits.

`images` reads medical images and photographs into image sets and `table` reads tables, both
named and versioned; `preprocess` and `transforms` make images ready, `split` parts a data set
honestly, `encoding` turns columns or images into the matrix an estimator learns from, and
`catalog` lists what the workspace holds.
"""
