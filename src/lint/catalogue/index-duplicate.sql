-- severity: warning
-- reach: sql
-- condition: Two indexes of a table have the same columns, expressions, order and condition.
-- effect: every write keeps both up to date, and one would do
-- remedy: drop one that no constraint needs

select format('%s.%s', r.shown, d.extra::regclass), format('%s has the same index twice: %s', r.shown, array_to_string(d.names, ', ')),
    format('DROP INDEX CONCURRENTLY %s;', d.extra::regclass), null
from relation r
join lateral (
    -- What a constraint needs is kept, then what is unique.
    select (array_agg(i.indexrelid order by k.oid is null, not i.indisunique, i.indexrelid))[count(*)] as extra,
        array_agg(i.indexrelid::regclass::text order by i.indexrelid) as names
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    where i.indrelid = r.oid and i.indisvalid
    group by i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text, c.relam,
        pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)
    having count(*) > 1
) d on true
