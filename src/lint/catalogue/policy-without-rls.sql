-- severity: error
-- reach: api
-- condition: A table has policies, and its row security is switched off.
-- effect: the policies are not consulted: they read like a wall, and there is none
-- remedy: enable row security, or drop the policies

select r.shown, format('policies of %s are not in force', r.shown), format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name),
    'its policies: ' || string_agg(p.polname, ', ' order by p.polname)
from policy p
join relation r on r.oid = p.polrelid
where not r.relrowsecurity
group by r.shown, r.name
