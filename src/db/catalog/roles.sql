-- Every role that is not PostgreSQL's own, as one JSON array. $2: the roles whose settings a request starts with.
select coalesce(json_agg(json_build_object(
    'name', r.rolname,
    'superuser', r.rolsuper,
    'bypass_rls', r.rolbypassrls,
    'assumable', pg_has_role(current_user, r.oid, 'MEMBER'),
    'settings', case when r.rolname = any ($2) then coalesce((
        -- as PostgREST reads them: the role's own settings, those of this database last, and of these only what any
        -- role may set
        select json_agg(json_build_array(split_part(s.setting, '=', 1), substr(s.setting, strpos(s.setting, '=') + 1))
                        order by d.setdatabase)
        from pg_db_role_setting d, unnest(d.setconfig) s(setting)
        left join pg_settings p on p.name = split_part(s.setting, '=', 1)
        where d.setrole = r.oid
          and d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
          and coalesce(p.context = 'user', true)
    ), '[]'::json) else '[]'::json end
) order by r.rolname), '[]'::json)::text
from pg_roles r
where r.rolname not like 'pg\_%'
