-- severity: error
-- reach: function
-- condition: A SECURITY DEFINER function sets no search_path, or one that is neither empty nor ends with pg_temp.
-- effect: its caller's temporary tables and functions come first, and run with the owner's rights
-- remedy: set an empty search_path and qualify every name

select f.shown, format('%s acts as its owner along a path that its caller can lead', f.shown), format('ALTER %s %s SET search_path = '''';', upper(f.kind), f.name),
    coalesce((select s from unnest(f.proconfig) s where s like 'search_path=%'), 'no search_path')
from function f
where f.prosecdef and f.lanname not in ('c', 'internal')
  and not exists (
      select from unnest(f.proconfig) s
      where s in ('search_path=', 'search_path=""', 'search_path=pg_catalog, pg_temp') or s ~ '^search_path=.*\mpg_temp"?$'
  )
