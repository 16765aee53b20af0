-- severity: error
-- reach: api
-- condition: A table of a pgmq queue has no row security, and a client role holds a right on it.
-- effect: every message of the queue can be read, taken away or forged
-- remedy: enable row security on the queue's table and write its policies

select format('pgmq.%s', c.relname), format('queue table pgmq.%s is open', c.relname),
    format('ALTER TABLE pgmq.%I ENABLE ROW LEVEL SECURITY;', c.relname), null
from pg_class c
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'pgmq'
where c.relkind in ('r', 'p') and c.relname ~ '^[qa]_' and not c.relrowsecurity
  and exists (
      select from client r
      where has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE') or has_table_privilege(r.oid, c.oid, 'DELETE')
  )
