-- The enabled rules of the tables of the schemas $1 that act on writes, as one JSON array.
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'table', c.relname,
    'name', r.rulename,
    'kind', 'rule',
    'function', ''
) order by n.nspname, c.relname, r.rulename), '[]'::json)::text
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and c.relkind in ('r', 'p') and r.ev_type in ('2', '3', '4') and r.ev_enabled in ('O', 'A')
