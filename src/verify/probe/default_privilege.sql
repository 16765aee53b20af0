-- What the roles $2 and PUBLIC get on objects to come, of those who make objects in the schemas $1: the session's role
-- and the owners of what is there. One JSON array.
with makers as (
    select oid from pg_roles where rolname = current_user
  union
    select c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any ($1)
),
entries as (
    select d.defaclrole, d.defaclnamespace, d.defaclobjtype, acl.grantee, acl.privilege_type
    from pg_default_acl d
    cross join lateral aclexplode(d.defaclacl) acl
    left join pg_roles g on g.oid = acl.grantee
    where d.defaclrole in (select oid from makers)
      and d.defaclobjtype in ('r', 'S', 'f')
      and (acl.grantee = 0 or g.rolname = any ($2))
      and (d.defaclnamespace = 0 or d.defaclnamespace in (select oid from pg_namespace where nspname = any ($1)))
      -- without a schema that is what PostgreSQL does by itself, told where functions are looked at
      and not (d.defaclobjtype = 'f' and d.defaclnamespace = 0 and acl.grantee = 0)
)
select coalesce(json_agg(json_build_object(
    'maker', r.rolname,
    'schema', n.nspname,
    'kind', e.defaclobjtype,
    'role', case when e.grantee = 0 then 'PUBLIC' else g.rolname end,
    'rights', e.rights
) order by r.rolname, n.nspname, e.defaclobjtype, g.rolname), '[]'::json)::text
from (
    select defaclrole, defaclnamespace, defaclobjtype, grantee, json_agg(privilege_type order by privilege_type) as rights
    from entries
    group by defaclrole, defaclnamespace, defaclobjtype, grantee
) e
join pg_roles r on r.oid = e.defaclrole
left join pg_namespace n on n.oid = e.defaclnamespace
left join pg_roles g on g.oid = e.grantee
