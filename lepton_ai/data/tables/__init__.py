"""Tables: Apache Iceberg, through PyIceberg, on the workspace's own database and objects.

`create` brings rows in, `commit` is the one place where a version comes to be, `scan` the one
where rows are read; `fileio` and `catalog` are what PyIceberg sees of the workspace. PyIceberg
takes a second to import, so nothing outside imports this package before it needs rows.
"""
