-- severity: info
-- reach: sql
-- condition: An extension is older than the version that the server would install.
-- effect: faults that the newer version mends are still there
-- remedy: update it in a migration

select e.extname::text, format('extension %s is at %s', e.extname, e.extversion), format('ALTER EXTENSION %I UPDATE;', e.extname),
    format('the server has %s', a.default_version)
from pg_extension e
join pg_available_extensions a on a.name = e.extname
where a.default_version <> e.extversion
