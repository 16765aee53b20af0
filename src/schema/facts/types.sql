-- Enums, domains, composite types and ranges.
select typ.kind, typ.name, 'schema ' || typ.schema, p.property, p.value, p.mend, p.undo
from typ
join who on who.oid = typ.typowner
cross join lateral (values
    ('', coalesce(case typ.typtype
        when 'e' then (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = typ.oid)
        when 'd' then concat_ws(' ', format_type(typ.typbasetype, typ.typtypmod), case when typ.typnotnull then 'NOT NULL' end, 'DEFAULT ' || typ.typdefault,
            (select string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' ' order by k.conname)
             from pg_constraint k where k.contypid = typ.oid and k.contype = 'c'))
        when 'r' then (select format('SUBTYPE %s', format_type(r.rngsubtype, null)) from pg_range r where r.rngtypid = typ.oid)
        when 'c' then (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
            from pg_attribute a where a.attrelid = typ.typrelid and a.attnum > 0 and not a.attisdropped)
        end, typ.kind), '', ''),
    ('owner', who.name, format('ALTER TYPE %s OWNER TO %s', typ.name, who.name), ''),
    ('comment', obj_description(typ.oid, 'pg_type'), format('COMMENT ON TYPE %s IS %L', typ.name, obj_description(typ.oid, 'pg_type')),
        format('COMMENT ON TYPE %s IS NULL', typ.name))
) p (property, value, mend, undo)
where p.value is not null
