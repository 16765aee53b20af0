-- The enabled triggers of the tables of the schemas $1, as one JSON array.
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'table', c.relname,
    'name', t.tgname,
    'kind', 'trigger',
    'function', format('%I.%I()', pn.nspname, p.proname)
) order by n.nspname, c.relname, t.tgname), '[]'::json)::text
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_proc p on p.oid = t.tgfoid
join pg_namespace pn on pn.oid = p.pronamespace
where n.nspname = any ($1) and not t.tgisinternal and t.tgenabled in ('O', 'A')
