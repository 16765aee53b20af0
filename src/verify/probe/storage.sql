-- Supabase's storage, as one JSON object: whether it is there, which of its owner columns it has, and the constants that
-- its policies mention, which are buckets for the most part. $1 and $2 are not used.
select json_build_object(
    'there', to_regclass('storage.objects') is not null and to_regclass('storage.buckets') is not null,
    'owners', (
        select coalesce(json_agg(a.attname order by a.attname), '[]'::json)
        from pg_attribute a
        where a.attrelid = to_regclass('storage.objects') and a.attname in ('owner', 'owner_id') and not a.attisdropped
    ),
    'constants', (
        select coalesce(json_agg(distinct m.match[1] order by m.match[1]), '[]'::json)
        from pg_policy p
        cross join lateral regexp_matches(
            concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
            '''([^'']{1,100})''', 'g') m(match)
        where p.polrelid in (to_regclass('storage.objects'), to_regclass('storage.buckets'))
    )
)::text
where cardinality($1) + cardinality($2) > 0
