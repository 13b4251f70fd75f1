#!/bin/sh
# Makes the secrets that docker-compose.yml names, once each; what is there already stays. Usage: deploy/make-secrets.sh [FOLDER]
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
for name in mqtt_hub_password mqtt_simulator_password influx_admin_password influx_admin_token grafana_admin_password; do
    file=$folder/$name
    if [ ! -s "$file" ]; then
        # 32 random bytes as hex. Containers read the file under their own users, so the folder is what keeps others out.
        od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$file.new"
        chmod 0444 "$file.new"
        mv "$file.new" "$file"
        echo "made $file"
    fi
done
chmod 0711 "$folder"
