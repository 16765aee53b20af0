-- severity: warning
-- reach: function
-- condition: A function of the project acts as its caller and sets no search_path.
-- effect: which tables and functions it means is decided by whoever calls it, a privileged role among them
-- remedy: set an empty search_path and qualify every name

select f.shown, format('%s looks names up along its caller''s search_path', f.shown), format('ALTER %s %s SET search_path = '''';', upper(f.kind), f.name), null
from function f
where not f.prosecdef and f.lanname not in ('c', 'internal')
  and not exists (select from unnest(f.proconfig) s where s like 'search_path=%')
  -- Such a body is bound to what it names when it is made.
  and not exists (select from pg_proc p where p.oid = f.oid and p.prosqlbody is not null)
