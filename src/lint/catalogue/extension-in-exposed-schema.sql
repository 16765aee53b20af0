-- severity: warning
-- reach: api
-- condition: An extension stands in an exposed schema.
-- effect: its functions are endpoints of the API, and EXECUTE on them is PUBLIC's
-- remedy: move it to schema extensions

select e.extname::text, format('extension %s stands in the exposed schema %s', e.extname, s.nspname),
    case when e.extrelocatable then format('ALTER EXTENSION %I SET SCHEMA extensions;', e.extname) else '' end, null
from pg_extension e
join exposed s on s.oid = e.extnamespace
