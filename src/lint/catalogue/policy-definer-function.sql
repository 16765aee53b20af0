-- severity: warning
-- reach: function
-- condition: A policy calls a SECURITY DEFINER function that clients can also call themselves with arguments of their own.
-- effect: the function answers past row security whatever it is asked, so that it tells who owns what
-- remedy: let it take no argument that says whose rows are meant, and keep it in a schema that is not exposed

select p.shown, format('policy %s calls %s, which clients can ask anything', p.name, f.shown),
    '', format('%s acts as its owner and stands in an exposed schema', f.shown)
from (select distinct policy, function from call) c
join policy p on p.oid = c.policy
join function f on f.oid = c.function
where f.prosecdef and f.exposed and f.pronargs > 0
  and exists (select from client r where has_function_privilege(r.oid, f.oid, 'EXECUTE'))
