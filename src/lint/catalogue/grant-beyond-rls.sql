-- severity: error
-- reach: sql
-- condition: A client role holds TRUNCATE, REFERENCES, TRIGGER or MAINTAIN on a relation of an exposed schema.
-- effect: row security does not hold these: TRUNCATE empties the table, REFERENCES tells which keys exist, TRIGGER runs code as others
-- remedy: revoke them; Supabase's default privileges hand them out on every new table

select r.shown, format('%s on %s to %s', string_agg(distinct g.privilege_type, ', '), r.shown, string_agg(distinct w.role, ', ')),
    format('REVOKE %s ON TABLE %s FROM %s;', string_agg(distinct g.privilege_type, ', '), r.name, string_agg(distinct w.role, ', ')), null
from relation r
cross join lateral aclexplode(r.relacl) g
join lateral (
    select case when g.grantee = 0 then 'PUBLIC' else (select quote_ident(c.rolname) from client c where c.oid = g.grantee) end
) w (role) on w.role is not null
where r.exposed and r.relkind in ('r', 'p', 'v', 'm', 'f') and g.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
group by r.shown, r.name
