-- What shows the rows of other tables under another name, in the schemas $1, as one JSON array: views, materialized
-- views, partitions and inheritance children. `events` are the commands that the server can carry out through it (as
-- pg_relation_is_updatable: 4 update, 8 insert, 16 delete), `reads` the relations whose rows it shows, however many
-- views or levels away.
with recursive shows(what, whose) as (
    select r.ev_class, d.refobjid
    from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    where d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
  union
    select inhrelid, inhparent from pg_inherits
),
reads(what, whose) as (
    select what, whose from shows
  union
    select reads.what, shows.whose from reads join shows on shows.what = reads.whose
)
select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'kind', case when c.relkind in ('v', 'm') then c.relkind else 'c' end,
    'partition', c.relispartition,
    'events', pg_relation_is_updatable(c.oid, true),
    'reads', (
        select coalesce(json_agg(json_build_array(wn.nspname, w.relname) order by wn.nspname, w.relname), '[]'::json)
        from reads
        join pg_class w on w.oid = reads.whose
        join pg_namespace wn on wn.oid = w.relnamespace
        where reads.what = c.oid
    )
) order by n.nspname, c.relname), '[]'::json)::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1)
  and (c.relkind in ('v', 'm')
       or c.relkind in ('r', 'p') and exists (select from pg_inherits where inhrelid = c.oid))
  -- an extension's views show what the extension means them to, and no rows of these tables
  and not exists (
      select from pg_depend e
      where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
