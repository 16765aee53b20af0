-- Policies.
select 'policy', format('%I on %s', p.polname, rel.name), rel.kind || ' ' || rel.name, x.property, x.value, x.mend, x.undo
from rel
join pg_policy p on p.polrelid = rel.oid
cross join lateral (
    select concat_ws(' ',
        case when p.polpermissive then 'AS PERMISSIVE' else 'AS RESTRICTIVE' end,
        'FOR ' || case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end,
        'TO ' || (select string_agg(who.name, ', ' order by who.name) from who where who.oid = any (p.polroles)),
        'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') as text
) d
cross join lateral (values
    ('', d.text, format('CREATE POLICY %I ON %s %s', p.polname, rel.name, d.text), format('DROP POLICY %I ON %s', p.polname, rel.name)),
    ('comment', obj_description(p.oid, 'pg_policy'), format('COMMENT ON POLICY %I ON %s IS %L', p.polname, rel.name, obj_description(p.oid, 'pg_policy')),
        format('COMMENT ON POLICY %I ON %s IS NULL', p.polname, rel.name))
) x (property, value, mend, undo)
where x.value is not null
