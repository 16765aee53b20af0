-- What the predictions need of the relations, functions and types that pending files name. Rows: kind, then six texts.
WITH RECURSIVE
wanted (relations, functions, types) AS (VALUES ($relations, $functions, $types)),
named (oid) AS (
    SELECT c.oid FROM pg_catalog.pg_class c, wanted w
    WHERE c.relname = ANY (w.relations) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')
      AND c.relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_|^information_schema$')
    UNION
    -- Tables with columns of a domain that is named.
    SELECT a.attrelid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid, wanted w
    WHERE t.typtype = 'd' AND t.typname = ANY (w.relations) AND a.attnum > 0
),
reached (oid) AS (
    SELECT oid FROM named
    UNION
    SELECT other.oid FROM reached r CROSS JOIN LATERAL (
        SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = r.oid
        UNION ALL SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = r.oid
        UNION ALL SELECT inhparent FROM pg_catalog.pg_inherits WHERE inhrelid = r.oid
    ) other (oid)
),
partners (oid) AS (
    SELECT oid FROM reached
    UNION SELECT k.confrelid FROM pg_catalog.pg_constraint k JOIN reached r ON k.conrelid = r.oid WHERE k.contype = 'f'
    UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k JOIN reached r ON k.confrelid = r.oid WHERE k.contype = 'f'
),
relation AS (
    SELECT c.*, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid IN (SELECT oid FROM partners)
)
SELECT 'setting', pg_catalog.current_setting('TimeZone'), '', '', '', '', ''
UNION ALL
SELECT 'path', name, '', '', '', '', ''
FROM unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (name, place)
UNION ALL
SELECT 'relation', nspname, relname, relkind::text,
    CASE WHEN relkind IN ('r', 'p', 'm', 'f', 'i', 'I') THEN (
        SELECT sum(pg_catalog.pg_total_relation_size(member.relid))::text FROM (
            SELECT relid FROM pg_catalog.pg_partition_tree(relation.oid)
            UNION SELECT relation.oid::regclass) member) END,
    CASE WHEN relkind = 'p' THEN (
        SELECT CASE WHEN min(leaf.reltuples) >= 0 THEN sum(leaf.reltuples)::bigint::text END
        FROM pg_catalog.pg_partition_tree(relation.oid) t JOIN pg_catalog.pg_class leaf ON leaf.oid = t.relid WHERE t.isleaf)
    WHEN relkind IN ('r', 'm') AND reltuples >= 0 THEN reltuples::bigint::text END,
    relpersistence::text
FROM relation
UNION ALL
SELECT 'index', r.nspname, r.relname, n.nspname, t.relname, '', ''
FROM relation r JOIN pg_catalog.pg_index i ON i.indexrelid = r.oid
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
UNION ALL
SELECT 'child', p.nspname, p.relname, c.nspname, c.relname, '', ''
FROM pg_catalog.pg_inherits h JOIN relation p ON p.oid = h.inhparent JOIN relation c ON c.oid = h.inhrelid
UNION ALL
SELECT 'foreign', c.nspname, c.relname, k.conname, r.nspname, r.relname,
    (SELECT string_agg(a.attname, ',') FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
FROM pg_catalog.pg_constraint k JOIN relation c ON c.oid = k.conrelid JOIN relation r ON r.oid = k.confrelid
WHERE k.contype = 'f'
UNION ALL
SELECT 'column', r.nspname, r.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = r.oid AND k.contype = 'c' AND k.convalidated
        AND pg_catalog.pg_get_expr(k.conbin, k.conrelid) = pg_catalog.format('(%I IS NOT NULL)', a.attname)) THEN 'not null'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = r.oid AND k.contype = 'c'
        AND a.attnum = ANY (k.conkey)) THEN 'check' END
FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE r.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'function', p.proname, max(CASE p.provolatile WHEN 'v' THEN 'v' ELSE 'i' END), '', '', '', ''
FROM pg_catalog.pg_proc p, wanted w WHERE p.proname = ANY (w.functions) GROUP BY p.proname
UNION ALL
SELECT 'type', t.named, pg_catalog.format_type(t.oid, NULL),
    (y.typtype = 'd' AND (y.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE contypid = y.oid)))::text,
    CASE WHEN y.typtype = 'd' THEN pg_catalog.format_type(y.typbasetype, y.typtypmod) END, '', ''
FROM (SELECT named, pg_catalog.to_regtype(named)::oid FROM wanted w, unnest(w.types) AS named) AS t (named, oid)
JOIN pg_catalog.pg_type y ON y.oid = t.oid
UNION ALL
SELECT 'coercible', castsource::regtype::text, casttarget::regtype::text, '', '', '', ''
FROM pg_catalog.pg_cast WHERE castmethod = 'b'
