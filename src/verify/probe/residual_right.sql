-- REFERENCES, TRIGGER and MAINTAIN on the tables of the schemas $1, and CREATE on any schema of the database, that the
-- roles $2 hold without owning the object; as one JSON array. What PUBLIC holds on tables is told elsewhere.
with asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
),
held(schema, name, role, privilege) as (
    select n.nspname, c.relname, asked.rolname, acl.privilege_type
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
        select c.relacl
      union all
        select a.attacl from pg_attribute a where a.attrelid = c.oid and a.attacl is not null
    ) lists(list)
    cross join lateral aclexplode(lists.list) acl
    join asked on acl.grantee <> 0 and acl.grantee <> c.relowner and pg_has_role(asked.oid, acl.grantee, 'USAGE')
    where n.nspname = any ($1)
      and c.relkind in ('r', 'p')
      and acl.privilege_type in ('REFERENCES', 'TRIGGER', 'MAINTAIN')
  union
    select n.nspname, null, asked.rolname, 'CREATE'
    from pg_namespace n
    cross join asked
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and n.nspowner <> asked.oid
      and has_schema_privilege(asked.oid, n.oid, 'CREATE')
)
select coalesce(json_agg(json_build_object(
    'schema', per.schema,
    'name', per.name,
    'held', (
        select json_agg(json_build_object('role', roles.role, 'rights', roles.rights) order by roles.role)
        from (
            select held.role, json_agg(held.privilege order by held.privilege) as rights
            from held
            where held.schema = per.schema and held.name is not distinct from per.name
            group by held.role
        ) roles
    )
) order by per.schema, per.name nulls first), '[]'::json)::text
from (select distinct schema, name from held) per
