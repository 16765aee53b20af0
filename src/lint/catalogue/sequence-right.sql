-- severity: warning
-- reach: sql
-- condition: A client role may read or set a sequence of an exposed schema.
-- effect: it can tell how many rows others insert, and with UPDATE make every insert fail
-- remedy: revoke all but USAGE, and USAGE too where keys are identity columns or uuids

select r.shown, format('%s on sequence %s', string_agg(distinct a.privilege || ' to ' || c.rolname, ', '), r.shown),
    format('REVOKE SELECT, UPDATE ON SEQUENCE %s FROM PUBLIC, %s;', r.name, string_agg(distinct quote_ident(c.rolname), ', ')), null
from relation r
cross join client c
cross join unnest(array['SELECT', 'UPDATE']) a (privilege)
where r.exposed and r.relkind = 'S' and has_sequence_privilege(c.oid, r.oid, a.privilege)
group by r.shown, r.name
