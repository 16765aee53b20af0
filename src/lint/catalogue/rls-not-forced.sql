-- severity: info
-- reach: function
-- condition: A table of an exposed schema has row security that its owner is not held to.
-- effect: its owner, and every function and view that acts as its owner, sees all rows unless the role bypasses row security anyway
-- remedy: force it; it costs nothing, and what must see all rows says so with a role that bypasses row security

select r.shown, format('row security of %s does not hold its owner', r.shown),
    format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.name), null
from relation r
where r.exposed and r.relkind in ('r', 'p') and r.relrowsecurity and not r.relforcerowsecurity
