"""Privacy: data that may be shared.

`dicom` removes from medical images what could name a person.
"""
