-- Schemas, tables, views, sequences: what they are, row security, options, owners, comments.
select 'schema', m.name, '', p.property, p.value, p.mend, p.undo
from managed m
join who on who.oid = m.nspowner
cross join lateral (values
    ('', 'schema', 'CREATE SCHEMA ' || m.name, ''),
    -- public is the platform's: its owner differs from one Supabase to the next
    ('owner', case when m.nspname <> 'public' then who.name end, format('ALTER SCHEMA %s OWNER TO %s', m.name, who.name), '')
) p (property, value, mend, undo)
where p.value is not null
union all
select rel.kind, rel.name, 'schema ' || rel.schema, p.property, p.value, p.mend, p.undo
from rel
join who on who.oid = rel.relowner
left join pg_sequence s on s.seqrelid = rel.oid
cross join lateral (values
    ('', case
        when rel.relkind in ('v', 'm') then pg_get_viewdef(rel.oid)
        when rel.relkind = 'S' then format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s %sCYCLE', s.seqtypid::regtype, s.seqstart,
            s.seqincrement, s.seqmin, s.seqmax, case when s.seqcycle then '' else 'NO ' end)
        else concat_ws(' ',
            case rel.relpersistence when 'u' then 'UNLOGGED' end,
            upper(rel.kind),
            case when rel.relkind = 'p' then 'PARTITION BY ' || pg_get_partkeydef(rel.oid) end,
            (select 'INHERITS (' || string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno) || ')' from pg_inherits i where i.inhrelid = rel.oid),
            pg_get_expr(rel.relpartbound, rel.oid))
        end,
        case when rel.relkind = 'v' then format(E'CREATE OR REPLACE VIEW %s%s AS\n%s', rel.name,
            coalesce(' WITH (' || array_to_string(rel.reloptions, ', ') || ')', ''), rtrim(pg_get_viewdef(rel.oid), ';')) else '' end,
        case when rel.relkind in ('v', 'm') then format('DROP %s %s', upper(rel.kind), rel.name) else '' end),
    ('owner', who.name, format('ALTER %s %s OWNER TO %s', upper(rel.kind), rel.name, who.name), ''),
    ('options', (select string_agg(o.option, ', ' order by o.option) from unnest(rel.reloptions) o (option)),
        format('ALTER %s %s SET (%s)', upper(rel.kind), rel.name, array_to_string(rel.reloptions, ', ')),
        (select format('ALTER %s %s RESET (%s)', upper(rel.kind), rel.name, string_agg(split_part(o.option, '=', 1), ', '))
         from unnest(rel.reloptions) o (option))),
    ('row security', case when rel.relkind in ('r', 'p') then case when rel.relrowsecurity then 'enabled' else 'disabled' end end,
        format('ALTER TABLE %s %s ROW LEVEL SECURITY', rel.name, case when rel.relrowsecurity then 'ENABLE' else 'DISABLE' end), ''),
    ('row security of the owner', case when rel.relkind in ('r', 'p') then case when rel.relforcerowsecurity then 'forced' else 'not forced' end end,
        format('ALTER TABLE %s %sFORCE ROW LEVEL SECURITY', rel.name, case when rel.relforcerowsecurity then '' else 'NO ' end), ''),
    ('replica identity', case when rel.relkind in ('r', 'p') then case rel.relreplident when 'd' then 'default' when 'f' then 'full' when 'n' then 'nothing'
        else 'index ' || (select i.indexrelid::regclass from pg_index i where i.indrelid = rel.oid and i.indisreplident) end end,
        case rel.relreplident when 'i' then (select format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', rel.name, x.relname)
            from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = rel.oid and i.indisreplident)
        else format('ALTER TABLE %s REPLICA IDENTITY %s', rel.name, case rel.relreplident when 'f' then 'FULL' when 'n' then 'NOTHING' else 'DEFAULT' end) end, ''),
    ('comment', obj_description(rel.oid, 'pg_class'), format('COMMENT ON %s %s IS %L', upper(rel.kind), rel.name, obj_description(rel.oid, 'pg_class')),
        format('COMMENT ON %s %s IS NULL', upper(rel.kind), rel.name))
) p (property, value, mend, undo)
where p.value is not null
