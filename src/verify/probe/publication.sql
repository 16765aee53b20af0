-- The publications, and the tables of the schemas $1 in each, with what stands in a DELETE's message; as one JSON array.
-- $2 is not used.
select coalesce(json_agg(json_build_object(
    'name', p.pubname,
    'all_tables', p.puballtables,
    'schemas', (
        select coalesce(json_agg(n.nspname order by n.nspname), '[]'::json)
        from pg_publication_namespace s
        join pg_namespace n on n.oid = s.pnnspid
        where s.pnpubid = p.oid and n.nspname = any ($1)
    ),
    'deletes', p.pubdelete or p.pubupdate,
    'tables', (
        select coalesce(json_agg(json_build_object(
            'schema', t.schemaname,
            'name', t.tablename,
            'full', c.relreplident = 'f',
            -- columns of the replica identity that are no uuids: what can be guessed or read
            'telling', (
                select coalesce(json_agg(a.attname order by a.attnum), '[]'::json)
                from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  and a.atttypid <> 'uuid'::regtype
                  and (c.relreplident = 'f' or exists (
                      select from pg_index i
                      where i.indrelid = c.oid and a.attnum = any (i.indkey::int2[])
                        and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident)))
            )
        ) order by t.schemaname, t.tablename), '[]'::json)
        from pg_publication_tables t
        join pg_namespace n on n.nspname = t.schemaname
        join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
        where t.pubname = p.pubname and t.schemaname = any ($1)
    )
) order by p.pubname), '[]'::json)::text
from pg_publication p
where cardinality($2) > 0
