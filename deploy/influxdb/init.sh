#!/bin/sh
# Brings InfluxDB 2 to what GridHub needs: the bucket, a token that may write it (hub), one that may read it (Grafana).
# Runs at every start and changes nothing that is right already. InfluxDB keeps only hashes of tokens, so a token is
# written to its file at the moment it is made; a lost file gets a new token, and the old one is withdrawn.
set -eu
BUCKET=${BUCKET:-telemetry}
RETENTION=${RETENTION:-90d}
INFLUX_ORG=${INFLUX_ORG:-gridhub}
INFLUX_HOST=${INFLUX_HOST:-http://influxdb:8086}
INFLUX_TOKEN=$(cat "${ADMIN_TOKEN_FILE:-/run/secrets/influx_admin_token}")
export INFLUX_ORG INFLUX_HOST INFLUX_TOKEN

bucket_id() {
    influx bucket list --name "$BUCKET" --hide-headers 2>/dev/null | awk -v name="$BUCKET" '$2 == name {print $1}'
}

if [ -z "$(bucket_id)" ]; then
    influx bucket create --name "$BUCKET" --retention "$RETENTION" >/dev/null
    echo "bucket $BUCKET created"
else
    influx bucket update --id "$(bucket_id)" --retention "$RETENTION" >/dev/null
fi
id=$(bucket_id)
[ -n "$id" ] || { echo "no bucket $BUCKET" >&2; exit 1; }

# token_for DESCRIPTION FILE PERMISSION...
token_for() {
    description=$1 file=$2
    shift 2
    [ ! -s "$file" ] || return 0
    influx auth list --hide-headers | awk -v d="$description" '$2 == d {print $1}' | while read -r old; do
        influx auth delete --id "$old" >/dev/null
    done
    token=$(influx auth create --description "$description" "$@" --json | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
    [ -n "$token" ] || { echo "no token for $description" >&2; exit 1; }
    umask 077
    printf %s "$token" >"$file.new"
    # Each volume is mounted by one reader only, which runs under a user of its own.
    chmod 0444 "$file.new"
    mv "$file.new" "$file"
    echo "token for $description made"
}

token_for gridhub-writer "${HUB_TOKEN_FILE:-/tokens/hub/token}" --write-bucket "$id" --read-bucket "$id"
token_for gridhub-grafana "${GRAFANA_TOKEN_FILE:-/tokens/grafana/token}" --read-bucket "$id"
