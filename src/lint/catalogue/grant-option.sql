-- severity: error
-- reach: sql
-- condition: A client role may grant on what it was granted on a relation of an exposed schema.
-- effect: it can hand the right to any other role, anon among them
-- remedy: revoke the grant option

select r.shown, format('%s may grant on %s on %s', string_agg(distinct c.rolname, ', '), string_agg(distinct g.privilege_type, ', '), r.shown),
    format('REVOKE GRANT OPTION FOR ALL ON TABLE %s FROM %s;', r.name, string_agg(distinct quote_ident(c.rolname), ', ')), null
from relation r
cross join lateral aclexplode(r.relacl) g
join client c on c.oid = g.grantee
where r.exposed and g.is_grantable
group by r.shown, r.name
