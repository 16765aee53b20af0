-- severity: error
-- reach: api
-- condition: Default privileges give PUBLIC or a client role rights on tables or sequences that are made later; Supabase's own, in schema public, are left out.
-- effect: every new table is open from the moment it is made until somebody revokes
-- remedy: alter the default privileges back, and grant by name

select coalesce(n.nspname, 'all schemas') || '.' || case d.defaclobjtype when 'S' then 'sequences' else 'tables' end,
    format('new %s in %s are granted to %s', case d.defaclobjtype when 'S' then 'sequences' else 'tables' end,
        coalesce('schema ' || n.nspname, 'all schemas'), string_agg(distinct w.role, ', ')),
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE ALL ON %s FROM %s;', d.defaclrole::regrole,
        ' IN SCHEMA ' || quote_ident(n.nspname), case d.defaclobjtype when 'S' then 'SEQUENCES' else 'TABLES' end, string_agg(distinct w.role, ', ')),
    string_agg(distinct g.privilege_type, ', ')
from pg_default_acl d
left join pg_namespace n on n.oid = d.defaclnamespace
cross join lateral aclexplode(d.defaclacl) g
join lateral (
    select case when g.grantee = 0 then 'PUBLIC' else (select quote_ident(c.rolname) from client c where c.oid = g.grantee) end
) w (role) on w.role is not null
where d.defaclobjtype in ('r', 'S')
  and (n.oid is null or n.oid in (select oid from own))
  and (n.nspname is distinct from 'public' or g.grantee = 0 or g.is_grantable)
group by n.nspname, d.defaclobjtype, d.defaclrole
