-- The conditions of the policies of the schemas $1, each with those of the roles $2 to whom it applies, and the schemas
-- whose names each of these roles may not use, as one JSON object. Names are qualified by the caller's search_path.
select json_build_object(
    'conditions', coalesce((
        select json_agg(json_build_object(
            'schema', n.nspname,
            'table', c.relname,
            'policy', p.polname,
            'clause', asked.clause,
            'text', asked.condition,
            'roles', (
                select coalesce(json_agg(r.rolname order by r.rolname), '[]'::json)
                from pg_roles r
                where r.rolname = any ($2) and exists (
                    select from unnest(p.polroles) as listed (oid)
                    where listed.oid = 0 or pg_has_role(r.oid, listed.oid, 'USAGE')
                )
            )
        ) order by n.nspname, c.relname, p.polname, asked.clause)
        from pg_policy p
        join pg_class c on c.oid = p.polrelid
        join pg_namespace n on n.oid = c.relnamespace
        cross join lateral (values
            ('USING', pg_get_expr(p.polqual, p.polrelid)),
            ('WITH CHECK', pg_get_expr(p.polwithcheck, p.polrelid))
        ) as asked (clause, condition)
        where n.nspname = any ($1) and asked.condition is not null
    ), '[]'::json),
    'closed', coalesce((
        select json_agg(json_build_array(r.rolname, s.nspname))
        from pg_roles r
        cross join pg_namespace s
        where r.rolname = any ($2) and not has_schema_privilege(r.oid, s.oid, 'USAGE')
    ), '[]'::json)
)::text
