-- Whether PostgREST is told, in this database, to answer requests for plans: one JSON boolean.
select coalesce(bool_or(lower(split_part(setting, '=', 2)) in ('true', 'on', '1', 'yes')), false)::text
from pg_db_role_setting s, unnest(s.setconfig) as setting
where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
  and lower(split_part(setting, '=', 1)) = 'pgrst.db_plan_enabled'
