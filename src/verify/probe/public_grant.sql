-- What PUBLIC is granted on the tables, views and sequences of the schemas $1 and on their columns, as one JSON array.
-- Objects of extensions are what the extension means them to be.
with held(oid, privilege) as (
    select c.oid, acl.privilege_type
    from pg_class c
    cross join lateral (
        select c.relacl
      union all
        select a.attacl from pg_attribute a where a.attrelid = c.oid and a.attacl is not null
    ) lists(list)
    cross join lateral aclexplode(lists.list) acl
    where acl.grantee = 0
)
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'sequence', c.relkind = 'S',
    'rights', (select json_agg(distinct held.privilege order by held.privilege) from held where held.oid = c.oid)
) order by n.nspname, c.relname), '[]'::json)::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1)
  and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  and exists (select from held where held.oid = c.oid)
  and not exists (
      select from pg_depend e
      where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
