-- severity: warning
-- reach: api
-- condition: A policy calls a function without a column in it, outside of a sub-select: seen in the parse tree, not in the text.
-- effect: the function is called again for every row that is looked at, and no index can use its result at the outset
-- remedy: wrap the call in a sub-select, such as (select auth.uid()): it is then called once a statement

select p.shown, format('policy %s calls %s for every row', p.name, string_agg(distinct c.function::regproc::text || '()', ', ')),
    '', format('in %s', string_agg(distinct c.part, ' and '))
from call c
join policy p on p.oid = c.policy
join pg_proc f on f.oid = c.function
where not c.is_operator and f.provolatile <> 'i'
  and (f.pronamespace <> 'pg_catalog'::regnamespace or f.proname = 'current_setting')
  and not exists (
      select from variable v where v.policy = c.policy and v.part = c.part and v.n > c.first and v.last < c.last
  )
  -- The planner makes a value of such a sub-select, once.
  and not exists (
      select from query q
      where q.policy = c.policy and q.part = c.part and q.first < c.first and q.last > c.last and not q.has_from
  )
group by p.shown, p.name
