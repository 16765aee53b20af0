-- severity: warning
-- reach: api
-- condition: A policy calls a VOLATILE function.
-- effect: it runs once for every row that is looked at, may change data or say something else each time, and keeps every index from being used
-- remedy: declare the function STABLE if it reads only, or take it out of the policy

select p.shown, format('policy %s calls the volatile %s', p.name, c.function::regproc),
    case when f.pronamespace <> 'pg_catalog'::regnamespace then format('ALTER FUNCTION %s STABLE;', c.function::regprocedure) else '' end,
    format('in %s', string_agg(distinct c.part, ' and '))
from call c
join policy p on p.oid = c.policy
join pg_proc f on f.oid = c.function
where f.provolatile = 'v'
group by p.shown, p.name, c.function, f.pronamespace
