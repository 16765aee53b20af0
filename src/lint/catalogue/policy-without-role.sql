-- severity: warning
-- reach: api
-- condition: A policy has no TO, so that it is for PUBLIC.
-- effect: it holds for anon and for every role that comes later, and its condition is reckoned for requests without a token
-- remedy: name the role that is meant

select p.shown, format('policy %s is for PUBLIC', p.name), format('ALTER POLICY %s TO authenticated;', p.name), format('FOR %s', p.command)
from policy p
where p.polroles = '{0}' and p.polpermissive
