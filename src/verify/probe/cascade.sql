-- The foreign keys of the schemas $1 that change or delete children, as one JSON array; a: nothing, r: refused, c: the
-- child goes along, n: set to NULL, d: set to its default.
select coalesce(json_agg(json_build_object(
    'schema', n.nspname, 'table', c.relname, 'name', k.conname,
    'deletes', k.confdeltype in ('c', 'n', 'd'), 'takes_along', k.confdeltype = 'c', 'updates', k.confupdtype in ('c', 'n', 'd'))), '[]'::json)::text
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f'
  and n.nspname = any ($1)
  and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
