-- The permissive policies of the schemas $1, as one JSON array.
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'table', c.relname,
    'name', p.polname,
    'command', p.polcmd,
    'roles', (
        select json_agg(coalesce(r.rolname, 'public'))
        from unnest(p.polroles) o(oid)
        left join pg_roles r on r.oid = o.oid
    ),
    'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid)
) order by n.nspname, c.relname, p.polname), '[]'::json)::text
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and p.polpermissive
