-- The policies of the tables of the schemas $1, with those of the roles $2 to whom each applies, as one JSON array.
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'table', c.relname,
    'name', p.polname,
    'command', p.polcmd,
    'to', (
        select json_agg(coalesce(named.rolname, 'public') order by named.rolname)
        from unnest(p.polroles) as listed (oid)
        left join pg_roles named on named.oid = listed.oid
    ),
    'roles', (
        select coalesce(json_agg(r.rolname order by r.rolname), '[]'::json)
        from pg_roles r
        where r.rolname = any ($2) and exists (
            select from unnest(p.polroles) as listed (oid)
            where listed.oid = 0 or pg_has_role(r.oid, listed.oid, 'USAGE')
        )
    )
) order by n.nspname, c.relname, p.polname), '[]'::json)::text
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1)
