-- severity: error
-- reach: sql
-- condition: A function of the project is LEAKPROOF.
-- effect: a condition that calls it is reckoned before the policies, on rows that the caller must not see
-- remedy: take the mark away; only PostgreSQL's own operators deserve it

select f.shown, format('%s is reckoned before policies are', f.shown), format('ALTER FUNCTION %s NOT LEAKPROOF;', f.name), null
from function f
where f.proleakproof
