#!/bin/sh
# Ask an endpoint with curl:
#
#   sh examples/client_curl.sh ENDPOINT scan.dcm             an image file
#   sh examples/client_curl.sh ENDPOINT '{"age": 63, ...}'   a record, or a list of them
#
# On another machine set URL and TOKEN to what `lepton status --url` and `lepton token` print here.
set -eu
[ $# -eq 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
url=${URL:-$(lepton status --url)}/models/$1/predict
token=${TOKEN:-$(lepton token)}
what=$2

case $what in
    [{[]*) set -- -H 'Content-Type: application/json' --data-binary "$what" ;;
    *) set -- -F "file=@$what" ;;
esac
# The header comes from standard input, so that nobody sees the token in the list of processes.
printf 'Authorization: Bearer %s\n' "$token" | curl --silent --show-error -H @- "$@" "$url"
echo
