-- Functions and procedures, one property for each thing that a reader would call a different change.
select fun.kind, fun.name, 'schema ' || fun.schema, p.property, p.value, p.mend, p.undo
from fun
join who on who.oid = fun.proowner
join pg_language l on l.oid = fun.prolang
cross join lateral (
    select case when fun.prokind = 'a' then '' else rtrim(pg_get_functiondef(fun.oid), E'\n') end as create_it
) c
cross join lateral (values
    ('', fun.kind, c.create_it, format('DROP %s %s', upper(fun.kind), fun.name)),
    ('owner', who.name, format('ALTER %s %s OWNER TO %s', upper(fun.kind), fun.name, who.name), ''),
    ('arguments', pg_get_function_arguments(fun.oid), c.create_it, ''),
    ('returns', pg_get_function_result(fun.oid), c.create_it, ''),
    ('language', l.lanname, c.create_it, ''),
    ('body', coalesce(pg_get_function_sqlbody(fun.oid), fun.prosrc), c.create_it, ''),
    ('security', case when fun.prosecdef then 'DEFINER' else 'INVOKER' end, c.create_it, ''),
    ('volatility', case fun.provolatile when 'i' then 'IMMUTABLE' when 's' then 'STABLE' else 'VOLATILE' end, c.create_it, ''),
    ('parallel', case fun.proparallel when 's' then 'SAFE' when 'r' then 'RESTRICTED' else 'UNSAFE' end, c.create_it, ''),
    ('on null input', case when fun.proisstrict then 'STRICT' else 'CALLED' end, c.create_it, ''),
    ('leakproof', case when fun.proleakproof then 'yes' else 'no' end, c.create_it, ''),
    ('settings', coalesce((select string_agg(s.setting, ', ' order by s.setting) from unnest(fun.proconfig) s (setting)), 'none'), c.create_it, ''),
    ('cost', fun.procost || case when fun.proretset then ', rows ' || fun.prorows else '' end, c.create_it, ''),
    ('comment', obj_description(fun.oid, 'pg_proc'), format('COMMENT ON %s %s IS %L', upper(fun.kind), fun.name, obj_description(fun.oid, 'pg_proc')),
        format('COMMENT ON %s %s IS NULL', upper(fun.kind), fun.name))
) p (property, value, mend, undo)
where p.value is not null
