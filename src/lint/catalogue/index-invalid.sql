-- severity: warning
-- reach: sql
-- condition: An index is not valid: a CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY did not come to its end.
-- effect: every write keeps it up to date and no query uses it; a unique one may still refuse rows
-- remedy: build it again, or drop it

select format('%s.%s', r.shown, c.relname), format('index %s of %s is not valid', c.relname, r.shown),
    format('REINDEX INDEX CONCURRENTLY %s;', i.indexrelid::regclass), null
from pg_index i
join relation r on r.oid = i.indrelid
join pg_class c on c.oid = i.indexrelid
where not i.indisvalid and c.relkind = 'i'
