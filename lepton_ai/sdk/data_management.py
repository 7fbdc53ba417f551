"""Bring data in and make it ready: read, preprocess, split; image sets and tables."""

from lepton_ai.data.catalog import datasets, open_dataset
from lepton_ai.data.images.imageset import Image, ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.data.table import Table

__all__ = [
    "Image",
    "ImageSet",
    "Table",
    "datasets",
    "open_dataset",
    "preprocess_images",
    "read_images",
    "read_table",
    "split_data",
]
