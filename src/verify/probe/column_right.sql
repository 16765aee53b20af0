-- Grants on single columns of the tables and views of the schemas $1 that come to nothing, because a role of $2 that they are
-- made to has the right on all columns, as one JSON array; with a column that the grants leave out. Where every column
-- is named none was to be kept back.
with asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
),
named as (
    select c.oid, n.nspname, c.relname, asked.rolname, acl.privilege_type as privilege,
           array_agg(distinct a.attnum) as numbers
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attacl is not null
    cross join lateral aclexplode(a.attacl) acl
    -- to the role itself: what PUBLIC or a group is given may be less than what one of its members is
    join asked on asked.oid = acl.grantee
    where n.nspname = any ($1)
      -- not every view can be written, and the statement must not fail for that
      and (c.relkind in ('r', 'p') and acl.privilege_type in ('SELECT', 'INSERT', 'UPDATE')
           or c.relkind = 'v' and acl.privilege_type = 'SELECT')
      and has_schema_privilege(asked.oid, n.oid, 'USAGE')
      and has_table_privilege(asked.oid, c.oid, acl.privilege_type)
    group by c.oid, n.nspname, c.relname, asked.rolname, acl.privilege_type
)
select coalesce(json_agg(json_build_object(
    'schema', named.nspname,
    'name', named.relname,
    'role', named.rolname,
    'privilege', named.privilege,
    'columns', (
        select json_agg(a.attname order by a.attnum)
        from pg_attribute a
        where a.attrelid = named.oid and a.attnum = any (named.numbers)
    ),
    'left_out', json_build_array(other.attname, format_type(other.atttypid, null)),
    -- who has the right on the table: the role itself, one that it is a member of, or PUBLIC
    'through', (
        select json_agg(distinct case when acl.grantee = 0 then 'PUBLIC' else g.rolname end)
        from pg_class c
        cross join lateral aclexplode(c.relacl) acl
        left join pg_roles g on g.oid = acl.grantee
        join pg_roles r on r.rolname = named.rolname
        where c.oid = named.oid and acl.privilege_type = named.privilege
          and case when acl.grantee = 0 then true else pg_has_role(r.oid, acl.grantee, 'USAGE') end
    )
) order by named.nspname, named.relname, named.privilege, named.rolname), '[]'::json)::text
from named
cross join lateral (
    select a.attname, a.atttypid
    from pg_attribute a
    where a.attrelid = named.oid and a.attnum > 0 and not a.attisdropped and a.attnum <> all (named.numbers)
      and (a.attgenerated = '' and a.attidentity <> 'a' or named.privilege = 'SELECT')
    order by a.attnum
    limit 1
) other
