-- severity: warning
-- reach: sql
-- condition: A table, column or enum of the project, or an enum's label, is not written in lower case with underscores.
-- effect: the name has to be quoted in SQL and looks different in every client
-- remedy: rename it before clients rely on it

select o.shown, format('%s is not lower case with underscores', o.shown), o.mend, null
from (
    select r.shown, r.relname::text as name, format('ALTER TABLE %s RENAME TO …;', r.name) as mend
    from relation r where r.relkind in ('r', 'p', 'v', 'm', 'f')
  union all
    select r.shown || '.' || a.attname, a.attname, format('ALTER TABLE %s RENAME COLUMN %I TO …;', r.name, a.attname)
    from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    where r.relkind in ('r', 'p')
  union all
    select t.typname, t.typname, format('ALTER TYPE %s RENAME TO …;', t.oid::regtype)
    from pg_type t where t.typtype = 'e' and t.typnamespace in (select oid from own)
  union all
    select t.typname || '.' || e.enumlabel, e.enumlabel, format('ALTER TYPE %s RENAME VALUE %L TO …;', t.oid::regtype, e.enumlabel)
    from pg_type t join pg_enum e on e.enumtypid = t.oid where t.typnamespace in (select oid from own)
) o
where o.name !~ '^[a-z_][a-z0-9_]*$'
