-- severity: warning
-- reach: api
-- condition: A table that clients can write has created_at or updated_at, and no trigger fires before its rows are written.
-- effect: the times are whatever a client sends, and updated_at stays as it is when nobody sends one
-- remedy: set both in a trigger BEFORE INSERT OR UPDATE

select r.shown, format('nothing keeps %s of %s', string_agg(distinct a.attname::text, ' and '), r.shown), '', null
from relation r
join pg_attribute a on a.attrelid = r.oid and a.attname in ('created_at', 'updated_at') and not a.attisdropped
where r.exposed and r.relkind in ('r', 'p')
  and exists (
      select from client c
      where has_column_privilege(c.oid, r.oid, a.attnum, 'INSERT') or has_column_privilege(c.oid, r.oid, a.attnum, 'UPDATE')
  )
  -- tgtype: 1 for each row, 2 before, 4 insert, 16 update; created_at needs both, updated_at at least the latter
  and not exists (
      select from pg_trigger t
      where t.tgrelid = r.oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 3 = 3 and t.tgtype & 16 = 16
        and t.tgattr = ''::int2vector
  )
group by r.shown
