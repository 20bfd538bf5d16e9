#!/bin/sh
# Turns secret files into variables of this process alone: /run/secrets/BITWRIGHT_X becomes BITWRIGHT_X.
# So a secret stands in no image, no compose file and no command line.
set -eu
for file in "${SECRETS_FOLDER:-/run/secrets}"/BITWRIGHT_*; do
    [ -r "$file" ] || continue
    export "${file##*/}=$(cat "$file")"
done
exec "$@"
