"""Pre-trained models: shipped with the package, registered and fine-tuned in one call each.

`shelf` holds their files and checks them (a leaf of this package); `adding` registers one;
`tuning` learns on from one.
"""
