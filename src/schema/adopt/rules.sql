-- Constraints, indexes and triggers by the columns that they are about, and of tables the columns in their order.
-- Lists are lines. 'involved' names every column that is mentioned, 'columns' those of the key itself; 'leans' is the key
-- that a foreign key refers to, named as the facts name it.
select 'constraint', format('%I on %s', k.conname, rel.name), rel.name, k.contype::text,
    (select string_agg(quote_ident(a.attname), E'\n' order by u.place) from unnest(k.conkey) with ordinality u (num, place)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num) as columns,
    (select string_agg(quote_ident(a.attname), E'\n') from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) as involved,
    case when k.contype = 'f' then k.confrelid::regclass::text end as referenced,
    (select string_agg(quote_ident(a.attname), E'\n' order by u.place) from unnest(k.confkey) with ordinality u (num, place)
        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.num) as referenced_columns,
    case when k.contype = 'c' then pg_get_expr(k.conbin, k.conrelid) end as expression,
    case when k.contype = 'f' then coalesce(
        (select format('%I on %s', o.conname, o.conrelid::regclass) from pg_constraint o where o.conindid = k.conindid and o.contype in ('p', 'u')),
        k.conindid::regclass::text) end as leans,
    (select i.indnullsnotdistinct::text from pg_index i where i.indexrelid = k.conindid and k.contype = 'u') as nulls_are_equal
from rel
join pg_constraint k on k.conrelid = rel.oid and k.contype in ('p', 'u', 'f', 'c', 'x')
union all
select 'index', format('%s.%I', rel.schema, c.relname), rel.name, case when i.indisunique then 'u' else 'i' end,
    (select string_agg(pg_get_indexdef(i.indexrelid, n, true), E'\n' order by n) from generate_series(1, i.indnkeyatts) n),
    (select string_agg(quote_ident(a.attname), E'\n') from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = rel.oid and d.refobjsubid > 0),
    null, null, pg_get_expr(i.indpred, i.indrelid), null, i.indnullsnotdistinct::text
from rel
join pg_index i on i.indrelid = rel.oid
join pg_class c on c.oid = i.indexrelid
where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
union all
select 'trigger', format('%I on %s', t.tgname, rel.name), rel.name, 't',
    (select string_agg(quote_ident(a.attname), E'\n') from pg_attribute a where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[])),
    (select string_agg(quote_ident(a.attname), E'\n') from pg_attribute a where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[])),
    null, null, null, t.tgfoid::regprocedure::text, null
from rel
join pg_trigger t on t.tgrelid = rel.oid and not t.tgisinternal
union all
select 'table', rel.name, rel.name, rel.relkind::text,
    (select string_agg(quote_ident(a.attname), E'\n' order by a.attnum) from pg_attribute a where a.attrelid = rel.oid and a.attnum > 0 and not a.attisdropped),
    null, null, null, null, null, null
from rel
where rel.relkind in ('r', 'p', 'f')
