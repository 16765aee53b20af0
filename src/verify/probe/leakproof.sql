-- Functions marked LEAKPROOF that did not come so with PostgreSQL, and which of the roles $2 may call each, as one JSON
-- array; with whether a request can put it into a filter: by an operator of PostgREST's, or as a column that the
-- schemas $1 compute.
select coalesce(json_agg(json_build_object(
    'signature', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    'filters', exists (
        select from pg_operator o
        join pg_namespace s on s.oid = o.oprnamespace
        where o.oprcode = p.oid and (s.nspname in ('pg_catalog', 'public', 'extensions') or s.nspname = any ($1))
          and o.oprname in ('=', '<>', '<', '<=', '>', '>=', '~~', '~~*', '~', '~*', '@@', '@>', '<@', '&&', '<<', '>>',
                            '&<', '&>', '-|-')
    ) or n.nspname = any ($1) and p.pronargs = 1 and exists (
        select from pg_class c
        where c.reltype = p.proargtypes[0] and c.relnamespace::regnamespace::text = any ($1)
    ),
    'roles', r.names
) order by n.nspname, p.proname, p.oid), '[]'::json)::text
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
cross join lateral (
    select json_agg(r.rolname order by r.rolname) as names
    from pg_roles r
    where r.rolname = any ($2)
      and has_schema_privilege(r.oid, n.oid, 'USAGE') and has_function_privilege(r.oid, p.oid, 'EXECUTE')
) r
where p.proleakproof and r.names is not null
  -- What 15 to 18 ship: comparisons, and those named here.
  and not (n.nspname = 'pg_catalog' and (
      p.proname ~ 'cmp$'
      or p.prorettype = 'bool'::regtype and p.pronargs = 2
          and p.proname ~ '(eq|ne|lt|le|gt|ge|eqtext|getext|gttext|letext|lttext|netext|eqname|gename|gtname|lename|ltname|nename|int4)$'
      or p.proname ~ '_(larger|smaller)$'
      or p.proname in ('bool', 'bytea', 'crc32', 'crc32c', 'float4', 'float8', 'gen_random_uuid', 'int4', 'int8', 'interval',
                       'macaddr8', 'md5', 'name', 'numeric', 'sha224', 'sha256', 'sha384', 'sha512', 'starts_with', 'text',
                       'uuid_extract_timestamp', 'uuid_extract_version', 'varchar')
  ))
