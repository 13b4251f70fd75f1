#!/bin/sh
# Accounts of the broker, in the password file that mosquitto reads.
#   users.sh            makes sure that the accounts of the compose file exist (hub, simulator); others are left alone
#   users.sh add NAME   adds an account or changes its password, read from standard input
#   users.sh remove NAME
# Afterwards tell the broker: docker compose kill -s HUP mosquitto
set -eu
PASSWORDS=${PASSWORDS:-/mosquitto/auth/passwords}
SECRETS=${SECRETS:-/run/secrets}

umask 077
[ -e "$PASSWORDS" ] || : >"$PASSWORDS"
case "${1:-ensure}" in
ensure)
    # The passwords are set anew each time, so that a changed secret takes effect.
    for name in hub simulator; do
        [ -r "$SECRETS/mqtt_${name}_password" ] || continue
        mosquitto_passwd -b "$PASSWORDS" "$name" "$(cat "$SECRETS/mqtt_${name}_password")"
    done
    ;;
add)
    read -r password
    [ -n "$password" ] || { echo "users.sh: an empty password for $2" >&2; exit 1; }
    mosquitto_passwd -b "$PASSWORDS" "$2" "$password"
    ;;
remove)
    mosquitto_passwd -D "$PASSWORDS" "$2"
    ;;
*)
    echo "users.sh: ensure, add NAME or remove NAME" >&2
    exit 2
    ;;
esac
