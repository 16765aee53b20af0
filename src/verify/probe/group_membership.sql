-- The roles that the roles $2 are members of, however far up, with what makes each of them more than a group, as one
-- JSON array. $1 is not used.
with asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
)
select coalesce(json_agg(json_build_object(
    'role', asked.rolname,
    'of', r.rolname,
    -- its rights hold without SET ROLE
    'inherits', pg_has_role(asked.oid, r.oid, 'USAGE'),
    'superuser', r.rolsuper,
    'bypasses_rls', r.rolbypassrls,
    'makes_roles', r.rolcreaterole,
    'predefined', r.rolname ~ '^pg_',
    'owns', (
        select count(*)
        from pg_shdepend d
        where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o'
          and d.dbid = (select oid from pg_database where datname = current_database())
          and d.classid not in ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
    )
) order by asked.rolname, r.rolname), '[]'::json)::text
from asked
join pg_roles r on r.oid <> asked.oid
where cardinality($1) > 0
  and not exists (select from pg_roles s where s.oid = asked.oid and s.rolsuper)
  and (pg_has_role(asked.oid, r.oid, 'USAGE')
       or pg_has_role(asked.oid, r.oid,
                      case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end))
