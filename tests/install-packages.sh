#!/bin/sh
# Installs what some tests need from Debian's packages: PostgreSQL's programs, without starting a
# server of its own, and the DICOM tools of DCMTK and David Clunie.
set -u
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "SKIPPING TESTS: install Debian's packages postgresql, dcmtk and dicom3tools to run all" >&2
    exit 0
fi
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get update -qq || exit 0
for package in postgresql dcmtk dicom3tools; do
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null ||
        echo "SKIPPING TESTS: $package cannot be installed" >&2
done
exit 0
