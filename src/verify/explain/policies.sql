-- What stands between the current role and the rows of one table, as one JSON object: whether row-level security
-- applies, the policies in words, and the schemas whose names the role may not use. $schema and $table are literals.
select json_build_object(
    'enabled', c.relrowsecurity,
    'active', row_security_active(c.oid),
    'superuser', me.rolsuper,
    'bypasses', me.rolbypassrls,
    'owns', pg_has_role(me.oid, c.relowner, 'USAGE'),
    'closed', coalesce((
        select json_agg(s.nspname order by s.nspname) from pg_namespace s where not has_schema_privilege(s.oid, 'USAGE')
    ), '[]'::json),
    'grants', coalesce((
        select json_agg(json_build_object('command', lower(a.privilege_type), 'to', coalesce(r.rolname, 'PUBLIC')))
        from (
            select c.relacl as acl
          union all
            select t.attacl from pg_attribute t where t.attrelid = c.oid and not t.attisdropped
        ) acls
        cross join lateral aclexplode(acls.acl) a
        left join pg_roles r on r.oid = a.grantee
        where a.grantee = 0 or pg_has_role(me.oid, a.grantee, 'USAGE')
    ), '[]'::json),
    'policies', coalesce((
        select json_agg(json_build_object(
            'name', p.polname,
            'permissive', p.polpermissive,
            'command', case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                when 'd' then 'DELETE' else 'ALL' end,
            'roles', case when 0 = any (p.polroles) then '["PUBLIC"]'::json else (
                select json_agg(r.rolname order by r.rolname) from pg_roles r where r.oid = any (p.polroles)
            ) end,
            'for_role', 0 = any (p.polroles) or exists (
                select from unnest(p.polroles) r(oid) where pg_has_role(me.oid, r.oid, 'USAGE')
            ),
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid)
        ) order by not p.polpermissive, p.polname)
        from pg_policy p
        where p.polrelid = c.oid
    ), '[]'::json)
)::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_roles me on me.rolname = current_user
where n.nspname = $schema and c.relname = $table
