#!/usr/bin/env bash
# Makes a container image with PostgreSQL from Debian's packages, for machines that can reach Debian's packages and no
# image registry. It takes POSTGRES_PASSWORD and listens on 5432, as the official image does.
# Usage: image.sh TAG   (root, Debian, a Docker daemon; installs debootstrap)
set -euo pipefail
tag=$1
if docker image ls -q "$tag" | grep -q .; then
    exit 0
fi
command -v debootstrap >/dev/null || apt-get install -y --no-install-recommends debootstrap
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
    awk '/^(deb |URIs:)/ { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' || true)
debootstrap --variant=minbase --include=postgresql-15 bookworm "$folder" ${mirror:+"$mirror"}
cat >"$folder/start" <<'START'
#!/bin/sh
set -e
bin=/usr/lib/postgresql/15/bin data=/var/lib/postgresql/data sockets=/var/run/postgresql
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
mkdir -p "$data" "$sockets"
chown postgres:postgres "$data" "$sockets"
printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
chmod 644 /tmp/password
as_postgres $bin/initdb --username=postgres --auth=scram-sha-256 --encoding=UTF8 --pwfile=/tmp/password --pgdata="$data"
rm /tmp/password
echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
exec setpriv --reuid=postgres --regid=postgres --clear-groups $bin/postgres -D "$data" -c listen_addresses='*'
START
chmod 755 "$folder/start"
tar -C "$folder" -c . | docker import --change 'CMD ["/start"]' --change 'EXPOSE 5432' - "$tag"
