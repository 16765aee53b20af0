-- severity: error
-- reach: api
-- condition: A client role can read or write through a view of an exposed schema that is not security_invoker.
-- effect: the view reads and writes its tables as its owner, past their row security
-- remedy: make it security_invoker, or take it out of the exposed schema

select r.shown, format('view %s acts as its owner', r.shown), format('ALTER VIEW %s SET (security_invoker = true);', r.name),
    format('within reach of %s', string_agg(c.rolname, ', ' order by c.rolname))
from relation r
join client c on has_any_column_privilege(c.oid, r.oid, 'SELECT, INSERT, UPDATE') or has_table_privilege(c.oid, r.oid, 'DELETE')
where r.exposed and r.relkind = 'v'
  and not exists (
      select from pg_options_to_table(r.reloptions) o
      where o.option_name = 'security_invoker' and o.option_value in ('true', 'on', '1', 'yes')
  )
group by r.shown, r.name
