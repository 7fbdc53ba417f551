"""Bring data in and make it ready: read, preprocess, split; image sets and tables."""

from lepton_ai.data.catalog import datasets, open_dataset
from lepton_ai.data.images.imageset import Image, ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import Recipe, open_recipe, propose_recipe, run_recipe, save_recipe
from lepton_ai.data.split import split_data
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table

__all__ = [
    "Image",
    "ImageSet",
    "Recipe",
    "Table",
    "datasets",
    "open_dataset",
    "open_recipe",
    "preprocess_images",
    "propose_recipe",
    "read_images",
    "read_table",
    "run_recipe",
    "save_recipe",
    "split_data",
    "sql",
]
