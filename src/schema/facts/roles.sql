-- The API's roles: attributes, settings, what they are members of and who is a member of them; and the settings of the
-- database. Settings only from a list: others may hold secrets (pgrst.jwt_secret, app.settings.jwt_secret).
, asked as (
    select r.oid, r.rolname, quote_ident(r.rolname) as name, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,
        r.rolcanlogin, r.rolreplication, r.rolinherit
    from pg_roles r
    where r.rolname = any (current_setting('chartchek_db.roles')::text[])
)
select 'role', asked.name, '', p.property, p.value, p.mend, ''
from asked
cross join lateral (values
    ('', 'role', 'CREATE ROLE ' || asked.name),
    ('superuser', case when asked.rolsuper then 'SUPERUSER' else 'NOSUPERUSER' end, null),
    ('row security', case when asked.rolbypassrls then 'BYPASSRLS' else 'NOBYPASSRLS' end, null),
    ('create roles', case when asked.rolcreaterole then 'CREATEROLE' else 'NOCREATEROLE' end, null),
    ('create databases', case when asked.rolcreatedb then 'CREATEDB' else 'NOCREATEDB' end, null),
    ('log in', case when asked.rolcanlogin then 'LOGIN' else 'NOLOGIN' end, null),
    ('replication', case when asked.rolreplication then 'REPLICATION' else 'NOREPLICATION' end, null),
    -- without effect where the role is a member of nothing, and an actor's role that is one is a finding by itself
    ('inherit', case when asked.rolcanlogin and exists (select from pg_auth_members a where a.member = asked.oid) then case when asked.rolinherit then 'INHERIT' else 'NOINHERIT' end end, null)
) p (property, value, mend)
where p.value is not null
union all
select 'membership', format('of %s in %s', member.name, role.name), '', '',
    'member' || case when bool_or(a.admin_option) then ' with admin option' else '' end
        -- an option of the membership since 16, of the role before; as JSON, since 15 has no such column
        || case when current_setting('chartchek_db.major')::int >= 16 and bool_or((to_jsonb(a) ->> 'inherit_option')::bool) then ' that inherits' else '' end,
    format('GRANT %s TO %s', role.name, member.name), format('REVOKE %s FROM %s', role.name, member.name)
from pg_auth_members a
join who role on role.oid = a.roleid
join who member on member.oid = a.member
join pg_roles r on r.oid = a.member
where (a.member in (select oid from asked) or a.roleid in (select oid from asked))
  -- the platform's own roles, and those that need no membership
  and not (r.rolsuper or member.name = '@migrator@' or r.rolname ~ '^(supabase_|pg_|dashboard_user$|pgbouncer$|pgsodium|postgres$)')
group by role.name, member.name
union all
select 'setting', format('%s of %s', split_part(s.setting, '=', 1), coalesce('role ' || asked.name, 'the database')), '', case when d.setdatabase = 0 or d.setrole = 0 then '' else 'in this database' end,
    substr(s.setting, strpos(s.setting, '=') + 1), '', ''
from pg_db_role_setting d
left join asked on asked.oid = d.setrole
cross join lateral unnest(d.setconfig) s (setting)
where (asked.oid is not null or d.setrole = 0)
  and (d.setdatabase = 0 or d.setdatabase = (select oid from pg_database where datname = current_database()))
  and split_part(s.setting, '=', 1) in ('search_path', 'row_security', 'role', 'statement_timeout', 'lock_timeout',
      'default_transaction_read_only', 'default_transaction_isolation', 'session_replication_role')
