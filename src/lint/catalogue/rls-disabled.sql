-- severity: error
-- reach: api
-- condition: A table, or a partition of one, in an exposed schema has row security switched off.
-- effect: whoever holds a grant on it, to read or only to write, reaches every row
-- remedy: enable row security and write a policy for each command that is meant

select r.shown, format('row security is off on %s', r.shown),
    format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name),
    (
        select 'granted now: ' || string_agg(distinct format('%s to %s', a.privilege, c.rolname), ', ')
        from client c
        cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) a (privilege)
        where case a.privilege
            when 'DELETE' then has_table_privilege(c.oid, r.oid, a.privilege)
            else has_any_column_privilege(c.oid, r.oid, a.privilege)
        end
    )
from relation r
where r.exposed and r.relkind in ('r', 'p') and not r.relrowsecurity
