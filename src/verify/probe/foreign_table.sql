-- The foreign tables of the schemas $1 and what the roles $2 may do with each, on the table or any column; one JSON array.
with asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
)
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'held', (
        select coalesce(json_agg(json_build_object('role', roles.rolname, 'rights', roles.rights)
                                 order by roles.rolname), '[]'::json)
        from (
            select asked.rolname, json_agg(p.privilege order by p.privilege) as rights
            from asked, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p(privilege)
            where has_schema_privilege(asked.oid, n.oid, 'USAGE')
              and (has_table_privilege(asked.oid, c.oid, p.privilege)
                   or p.privilege <> 'DELETE' and has_any_column_privilege(asked.oid, c.oid, p.privilege))
            group by asked.rolname
        ) roles
    )
) order by n.nspname, c.relname), '[]'::json)::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and c.relkind = 'f'
