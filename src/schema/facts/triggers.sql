-- Triggers (on others' tables too, where they call a function of ours), rules and event triggers.
select 'trigger', format('%I on %s', t.tgname, x.on_table), coalesce(rel.kind || ' ' || rel.name, ''), p.property, p.value, p.mend, p.undo
from pg_trigger t
left join rel on rel.oid = t.tgrelid
left join fun on fun.oid = t.tgfoid
cross join lateral (select t.tgrelid::regclass::text as on_table) x
cross join lateral (values
    ('', pg_get_triggerdef(t.oid), pg_get_triggerdef(t.oid), format('DROP TRIGGER %I ON %s', t.tgname, x.on_table)),
    ('state', case t.tgenabled when 'O' then 'enabled' when 'D' then 'disabled' when 'R' then 'enabled on replicas' else 'enabled always' end,
        format('ALTER TABLE %s %s TRIGGER %I', x.on_table,
            case t.tgenabled when 'O' then 'ENABLE' when 'D' then 'DISABLE' when 'R' then 'ENABLE REPLICA' else 'ENABLE ALWAYS' end, t.tgname), ''),
    ('comment', obj_description(t.oid, 'pg_trigger'), format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, x.on_table, obj_description(t.oid, 'pg_trigger')),
        format('COMMENT ON TRIGGER %I ON %s IS NULL', t.tgname, x.on_table))
) p (property, value, mend, undo)
where p.value is not null and not t.tgisinternal and (rel.oid is not null or fun.oid is not null)
union all
select 'rule', format('%I on %s', r.rulename, rel.name), rel.kind || ' ' || rel.name, p.property, p.value, p.mend, p.undo
from rel
join pg_rewrite r on r.ev_class = rel.oid and r.rulename <> '_RETURN'
cross join lateral (values
    ('', pg_get_ruledef(r.oid), pg_get_ruledef(r.oid), format('DROP RULE %I ON %s', r.rulename, rel.name)),
    ('state', case r.ev_enabled when 'O' then 'enabled' when 'D' then 'disabled' when 'R' then 'enabled on replicas' else 'enabled always' end,
        format('ALTER TABLE %s %s RULE %I', rel.name,
            case r.ev_enabled when 'O' then 'ENABLE' when 'D' then 'DISABLE' when 'R' then 'ENABLE REPLICA' else 'ENABLE ALWAYS' end, r.rulename), '')
) p (property, value, mend, undo)
union all
select 'event trigger', quote_ident(e.evtname), '', '',
    format('ON %s%s EXECUTE FUNCTION %s, state %s', e.evtevent,
        coalesce(' WHEN TAG IN (' || (select string_agg(quote_literal(g.tag), ', ' order by g.tag) from unnest(e.evttags) g (tag)) || ')', ''), fun.name, e.evtenabled),
    '', format('DROP EVENT TRIGGER %I', e.evtname)
from pg_event_trigger e
join fun on fun.oid = e.evtfoid
