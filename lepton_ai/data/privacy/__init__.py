"""Privacy: data that may be shared.

`detect` finds what tells of a person in columns and free text; `protect` masks, hashes, tokenises
and generalises; `anonymity` measures and makes k-anonymous; `differential` answers with noise
from a `budget`; `dicom` removes from medical images what could name a person.
"""
