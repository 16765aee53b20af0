-- severity: error
-- reach: sql
-- condition: PUBLIC or a client role may create objects in a schema of the project.
-- effect: it can put a function or table in front of those that others mean, and wait for a privileged role to call it
-- remedy: revoke CREATE: only the role that migrates makes objects

select n.nspname, format('%s may create objects in schema %s', string_agg(distinct w.role, ', '), n.nspname),
    format('REVOKE CREATE ON SCHEMA %I FROM %s;', n.nspname, string_agg(distinct w.role, ', ')), null
from own n
join pg_namespace s on s.oid = n.oid
cross join lateral aclexplode(s.nspacl) g
join lateral (
    select case when g.grantee = 0 then 'PUBLIC' else (select quote_ident(c.rolname) from client c where c.oid = g.grantee) end
) w (role) on w.role is not null
where g.privilege_type = 'CREATE'
group by n.nspname
