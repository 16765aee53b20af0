-- severity: warning
-- reach: sql
-- condition: No index begins with the columns of a foreign key.
-- effect: deleting a parent, or changing its key, reads the whole child table and holds its locks for as long
-- remedy: create the index, concurrently where the table is in use

select format('%s.%s', r.shown, k.conname), format('foreign key %s of %s has no index', k.conname, r.shown),
    format('CREATE INDEX CONCURRENTLY ON %s (%s);', r.name, (
        select string_agg(quote_ident(a.attname), ', ' order by u.place)
        from unnest(k.conkey) with ordinality u (attnum, place)
        join pg_attribute a on a.attrelid = r.oid and a.attnum = u.attnum
    )), format('to %s', k.confrelid::regclass)
from pg_constraint k
join relation r on r.oid = k.conrelid
where k.contype = 'f' and k.conparentid = 0 and not exists (
    select from pg_index i
    where i.indrelid = r.oid and i.indisvalid and i.indpred is null
      and (i.indkey::int2[])[0 : cardinality(k.conkey) - 1] @> k.conkey
)
