-- severity: warning
-- reach: sql
-- condition: A table of the project has no primary key.
-- effect: rows cannot be told apart: no request can name one, and replication of changes fails
-- remedy: give it one: a uuid or an identity column where nothing else identifies a row

select r.shown, format('%s has no primary key', r.shown), '', null
from relation r
where r.relkind in ('r', 'p') and not r.relispartition
  and not exists (select from pg_index i where i.indrelid = r.oid and i.indisprimary)
