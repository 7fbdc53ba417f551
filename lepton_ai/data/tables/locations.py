"""Locations: names of data files that sort in the order in which rows came."""

from pyiceberg.partitioning import PartitionKey
from pyiceberg.table.locations import SimpleLocationProvider

__all__ = ["Ordered"]


class Ordered(SimpleLocationProvider):
    """Puts the stamp of the commit in front; PyIceberg's own name begins with the file's number."""

    def new_data_location(
        self, data_file_name: str, partition_key: PartitionKey | None = None
    ) -> str:
        """Return the location of a new data file."""
        number, _, rest = data_file_name.removeprefix("00000-").partition("-")
        stamp = self.table_properties["lepton.stamp"]
        return super().new_data_location(f"{stamp}-{int(number):06d}-{rest}", partition_key)
