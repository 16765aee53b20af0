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
data=/var/lib/postgresql/15/main
echo 'host all all all scram-sha-256' >>/etc/postgresql/15/main/pg_hba.conf
run="/usr/lib/postgresql/15/bin/postgres -D $data -c config_file=/etc/postgresql/15/main/postgresql.conf"
echo "ALTER ROLE postgres PASSWORD '$POSTGRES_PASSWORD'" | setpriv --reuid=postgres --regid=postgres --clear-groups \
    /usr/lib/postgresql/15/bin/postgres --single -D $data -c config_file=/etc/postgresql/15/main/postgresql.conf postgres
mkdir -p /var/run/postgresql && chown postgres /var/run/postgresql
exec setpriv --reuid=postgres --regid=postgres --clear-groups $run -c listen_addresses='*'
START
chmod 755 "$folder/start"
tar -C "$folder" -c . | docker import --change 'CMD ["/start"]' --change 'EXPOSE 5432' - "$tag"
