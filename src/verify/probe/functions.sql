-- The functions and procedures outside PostgreSQL's own schemas and extensions, as one JSON array; with whether the
-- schemas $1 expose each, and which of the roles $2 may call it.
select coalesce(json_agg(json_build_object(
    'oid', p.oid::bigint,
    'name', format('%I.%I', n.nspname, p.proname),
    'signature', format('%I.%I(%s)', n.nspname, p.proname, (
        select string_agg(case
            when t.typnamespace = 'pg_catalog'::regnamespace or t.typcategory = 'A' then format_type(t.oid, null)
            else format('%I.%I', t.typnamespace::regnamespace::text, t.typname) end, ', ' order by a.ord)
        from unnest(p.proargtypes::oid[]) with ordinality a(type, ord)
        join pg_type t on t.oid = a.type
    )),
    'exposed', n.nspname = any ($1),
    'definer', p.prosecdef,
    'procedure', p.prokind = 'p',
    'volatile', p.provolatile = 'v',
    'trigger', p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype),
    -- fires on a table of the schemas, or is called by one's policy
    'in_reach', exists (
        select from pg_trigger t
        join pg_class c on c.oid = t.tgrelid
        join pg_namespace cn on cn.oid = c.relnamespace
        where t.tgfoid = p.oid and not t.tgisinternal and cn.nspname = any ($1)
    ) or exists (
        select from pg_depend d
        where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
    ),
    -- without columns of its own, so that FROM would need their list
    'bare_record', p.prorettype = 'record'::regtype
        and not coalesce(p.proargmodes && array['o', 'b', 't']::"char"[], false),
    'returns', p.prorettype::regtype::text,
    'parameters', coalesce((
        select json_agg(json_build_array(m.mode, format('%I.%I', mn.nspname, mt.typname)) order by m.place)
        from unnest(p.proargmodes, p.proallargtypes) with ordinality m(mode, type, place)
        join pg_type mt on mt.oid = m.type
        join pg_namespace mn on mn.oid = mt.typnamespace
        where m.mode <> 't'
    ), '[]'::json),
    'variadic', p.provariadic <> 0,
    'required', p.pronargs - p.pronargdefaults,
    'config', coalesce(to_json(p.proconfig), '[]'::json),
    'source', case when l.lanname not in ('c', 'internal') then coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) end,
    'language', l.lanname,
    'roles', coalesce((
        select json_agg(r.rolname)
        from pg_roles r
        where r.rolname = any ($2)
          and has_schema_privilege(r.oid, n.oid, 'USAGE')
          and has_function_privilege(r.oid, p.oid, 'EXECUTE')
    ), '[]'::json),
    'arguments', (
        select coalesce(json_agg(json_build_object(
            'name', coalesce(p.proargnames[a.place], ''),
            'type_name', format('%I.%I', tn.nspname, t.typname),
            'base_type', b.typname,
            'is_array', t.typcategory = 'A',
            'enum_labels', coalesce((
                select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = b.oid
            ), '[]'::json),
            'max_length', null,
            'not_null', t.typnotnull,
            'has_default', a.ord > p.pronargs - p.pronargdefaults,
            'generated', false,
            'identity_always', false,
            'grants', '{}'::json,
            'element_type', format('%I.%I', bn.nspname, b.typname),
            'table', (
                select json_build_object('schema', cn.nspname, 'name', c.relname)
                from pg_class c join pg_namespace cn on cn.oid = c.relnamespace
                where c.oid = b.typrelid and c.relkind <> 'c'
            ),
            'attributes', (
                select json_agg(json_build_object('name', ca.attname,
                    'base_type', coalesce(nullif(ce.typname, ''), ct.typname), 'is_array', ct.typcategory = 'A'))
                from pg_attribute ca
                join pg_type ct on ct.oid = ca.atttypid
                left join pg_type ce on ce.oid = ct.typelem and ct.typcategory = 'A'
                where ca.attrelid = b.typrelid and b.typrelid <> 0 and ca.attnum > 0 and not ca.attisdropped
            )
        ) order by a.ord), '[]'::json)
        from (
            select x.type, x.ord, (
                -- where names stand for OUT arguments too, those of the others are found by their modes
                select case when p.proargmodes is null then x.ord else (
                    select m.place
                    from (
                        select place, row_number() over (order by place) as nth
                        from unnest(p.proargmodes) with ordinality o(mode, place)
                        where o.mode in ('i', 'b', 'v')
                    ) m
                    where m.nth = x.ord
                ) end
            ) as place
            from unnest(p.proargtypes::oid[]) with ordinality x(type, ord)
        ) a
        join pg_type t on t.oid = a.type
        join pg_namespace tn on tn.oid = t.typnamespace
        join pg_type b on b.oid = case
            when t.typtype = 'd' then t.typbasetype
            when t.typcategory = 'A' and t.typelem <> 0 then t.typelem
            else t.oid end
        join pg_namespace bn on bn.oid = b.typnamespace
    )
) order by n.nspname, p.proname, p.oid), '[]'::json)::text
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_%'
  and p.prokind in ('f', 'p')
  and not exists (
      select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  )
