#!/bin/sh
# Installs PostgreSQL's programs from Debian's packages, without starting a server of its own.
set -u
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "SKIPPING THE POSTGRESQL TESTS: its programs are missing; install Debian's package postgresql" >&2
    exit 0
fi
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
