-- The uuid columns of the schemas $1 whose default is random, as one JSON array of [schema, table, column]: who could
-- name such a key knows the row already.
select coalesce(json_agg(json_build_array(n.nspname, c.relname, a.attname)), '[]'::json)::text
from pg_attrdef d
join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
join pg_class c on c.oid = d.adrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1)
  and a.atttypid = 'uuid'::regtype
  and pg_get_expr(d.adbin, d.adrelid) ~ '^([a-z_]+\.)?(gen_random_uuid|uuid_generate_v4)\(\)$'
