-- The tables of the schemas $1 on which a trigger or rule acts when they are written to, as one JSON array. $2 is not
-- asked for.
select coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname)), '[]'::json)::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and c.relkind in ('r', 'p')
  and (exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D')
       or exists (select from pg_rewrite w where w.ev_class = c.oid and w.ev_enabled <> 'D'))
