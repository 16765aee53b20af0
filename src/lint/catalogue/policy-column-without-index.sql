-- severity: warning
-- reach: api
-- condition: A policy that rows are read by compares a column with what a sub-select or a function gives, and no index begins with it.
-- effect: every statement reads the whole table, other users' rows with it, and slows down as they grow
-- remedy: create an index that begins with the column

select r.shown || '.' || a.attname, format('policies compare %s.%s, and no index begins with it', r.shown, a.attname),
    format('CREATE INDEX CONCURRENTLY ON %s (%I);', r.name, a.attname), 'in ' || string_agg(distinct p.polname, ', ')
from node o
join policy p on p.oid = o.policy and p.polpermissive
join relation r on r.oid = p.polrelid and r.relkind in ('r', 'p')
join pg_operator e on e.oprcode = o.function and e.oprname = '='
join variable v on v.policy = o.policy and v.part = o.part and v.depth = 0 and v.level = o.level + 1 and v.n > o.n and v.last < o.last
join pg_attribute a on a.attrelid = p.polrelid and a.attnum = v.attnum and a.atttypid <> 'boolean'::regtype
where o.part = 'USING' and p.polcmd <> 'a' and o.kind in ('OPEXPR', 'SCALARARRAYOPEXPR')
  -- compared with something that is known before the rows are
  and exists (
      select from node k
      where k.policy = o.policy and k.part = o.part and k.n > o.n and k.last < o.last and k.kind in ('SUBLINK', 'FUNCEXPR')
  )
  and not exists (
      select from pg_index i where i.indrelid = p.polrelid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null
  )
group by r.shown, r.name, a.attname
