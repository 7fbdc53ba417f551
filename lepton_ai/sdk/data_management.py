"""Bring data in, know it, make it ready, protect it: image sets, tables and documents.

Each name is imported at its first use, so that reading a table loads no image code.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.data.catalog import catalog as catalog
    from lepton_ai.data.catalog import datasets as datasets
    from lepton_ai.data.catalog import open_dataset as open_dataset
    from lepton_ai.data.documents.documentset import DocumentSet as DocumentSet
    from lepton_ai.data.documents.read import import_documents as import_documents
    from lepton_ai.data.erase.erase import erase_subject as erase_subject
    from lepton_ai.data.images.imageset import Image as Image
    from lepton_ai.data.images.imageset import ImageSet as ImageSet
    from lepton_ai.data.images.read import read_images as read_images
    from lepton_ai.data.preprocess import preprocess_images as preprocess_images
    from lepton_ai.data.privacy.anonymity import anonymise as anonymise
    from lepton_ai.data.privacy.anonymity import measure_anonymity as measure_anonymity
    from lepton_ai.data.privacy.detect import find_personal as find_personal
    from lepton_ai.data.privacy.detect import tag_personal as tag_personal
    from lepton_ai.data.privacy.differential import PrivateTable as PrivateTable
    from lepton_ai.data.privacy.protect import protect as protect
    from lepton_ai.data.read_table import read_source as read_source
    from lepton_ai.data.read_table import read_table as read_table
    from lepton_ai.data.recipes import Recipe as Recipe
    from lepton_ai.data.recipes import open_recipe as open_recipe
    from lepton_ai.data.recipes import propose_recipe as propose_recipe
    from lepton_ai.data.recipes import run_recipe as run_recipe
    from lepton_ai.data.recipes import save_recipe as save_recipe
    from lepton_ai.data.split import split_data as split_data
    from lepton_ai.data.sql import sql as sql
    from lepton_ai.data.table import Table as Table

_PLACES = {
    "catalog": ("catalog", "datasets", "open_dataset"),
    "documents.documentset": ("DocumentSet",),
    "documents.read": ("import_documents",),
    "erase.erase": ("erase_subject",),
    "images.imageset": ("Image", "ImageSet"),
    "images.read": ("read_images",),
    "preprocess": ("preprocess_images",),
    "privacy.anonymity": ("anonymise", "measure_anonymity"),
    "privacy.detect": ("find_personal", "tag_personal"),
    "privacy.differential": ("PrivateTable",),
    "privacy.protect": ("protect",),
    "read_table": ("read_source", "read_table"),
    "recipes": ("Recipe", "open_recipe", "propose_recipe", "run_recipe", "save_recipe"),
    "split": ("split_data",),
    "sql": ("sql",),
    "table": ("Table",),
}
_MODULES = {name: f"lepton_ai.data.{place}" for place, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
