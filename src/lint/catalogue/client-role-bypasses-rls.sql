-- severity: error
-- reach: api
-- condition: A client role bypasses row security, is a superuser, or is a member of a role that is either.
-- effect: no policy holds it: it reads and writes every row that it has a grant for
-- remedy: take the attribute or the membership away

select c.rolname::text, format('%s is not held by row security', c.rolname),
    case when r.oid = c.oid then format('ALTER ROLE %I NOBYPASSRLS NOSUPERUSER;', c.rolname)
        else format('REVOKE %I FROM %I;', r.rolname, c.rolname) end,
    case when r.oid <> c.oid then 'through ' || r.rolname end
from client c
join pg_roles r on (r.rolbypassrls or r.rolsuper) and pg_has_role(c.oid, r.oid, 'MEMBER')
