-- severity: info
-- reach: sql
-- condition: An index of a megabyte or more was never used since the statistics began, and holds nothing unique.
-- effect: every write keeps it up to date, for nobody
-- remedy: see whether a replica uses it, and drop it

select format('%s.%s', r.shown, c.relname), format('index %s of %s was never used', c.relname, r.shown),
    format('DROP INDEX CONCURRENTLY %s;', i.indexrelid::regclass), pg_size_pretty(pg_relation_size(c.oid))
from pg_index i
join relation r on r.oid = i.indrelid
join pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
where not i.indisunique and not i.indisexclusion and pg_relation_size(c.oid) >= 1024 * 1024
  and coalesce(pg_stat_get_numscans(c.oid), 0) = 0
  -- An index on a foreign key's columns is used where a parent is deleted, which may be rare.
  and not exists (select from pg_constraint k where k.conrelid = r.oid and k.contype = 'f' and k.conkey[1] = i.indkey[0])
