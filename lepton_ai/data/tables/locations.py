"""Locations: names of data files that sort in the order in which rows came."""

from pathlib import PurePosixPath

from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionKey
from pyiceberg.table.locations import SimpleLocationProvider

__all__ = ["Ordered", "place_of"]


class Ordered(SimpleLocationProvider):
    """Puts the stamp of the commit in front; PyIceberg's own name begins with the file's number."""

    def new_data_location(
        self, data_file_name: str, partition_key: PartitionKey | None = None
    ) -> str:
        """Return the location of a new data file."""
        number, _, rest = data_file_name.removeprefix("00000-").partition("-")
        stamp = self.table_properties["lepton.stamp"]
        return super().new_data_location(f"{stamp}-{int(number):06d}-{rest}", partition_key)


def place_of(file: DataFile) -> tuple[str, int]:
    """Return the stamp of the commit that wrote a data file, and the file's number in it."""
    name = PurePosixPath(file.file_path).stem
    stamp, _, rest = name.partition("-")
    number = rest.partition("-")[0]
    # Other programs name the files of plain tables otherwise.
    return (stamp, int(number)) if number.isdecimal() else (name, 0)
