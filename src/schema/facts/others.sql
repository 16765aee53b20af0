-- What is published to Realtime, extensions, and every other kind of object that can stand in a schema.
select 'publication', format('%I publishes %s', p.pubname, rel.name), rel.kind || ' ' || rel.name, '',
    'columns ' || coalesce(array_to_string(p.attnames, ', '), 'all') || coalesce(' WHERE ' || p.rowfilter, ''),
    format('ALTER PUBLICATION %I ADD TABLE %s', p.pubname, rel.name), format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, rel.name)
from pg_publication_tables p
join rel on rel.nspname = p.schemaname and rel.relname = p.tablename
union all
-- The stand-in's own are left out: not every engine has them.
select 'extension', quote_ident(e.extname), '', '', 'installed', format('CREATE EXTENSION %I', e.extname), ''
from pg_extension e
where e.extname not in ('plpgsql', 'uuid-ossp', 'pgcrypto')
union all
select 'statistics', format('%s.%I', m.name, s.stxname), 'schema ' || m.name, '', pg_get_statisticsobjdef(s.oid), pg_get_statisticsobjdef(s.oid), format('DROP STATISTICS %s.%I', m.name, s.stxname)
from pg_statistic_ext s
join managed m on m.oid = s.stxnamespace
union all
select i.type, i.identity, 'schema ' || m.name, '', i.type, '', ''
from (
    select 'pg_operator'::regclass as class, oid, oprnamespace as namespace from pg_operator
    union all select 'pg_opclass'::regclass, oid, opcnamespace from pg_opclass
    union all select 'pg_opfamily'::regclass, oid, opfnamespace from pg_opfamily
    union all select 'pg_collation'::regclass, oid, collnamespace from pg_collation
    union all select 'pg_conversion'::regclass, oid, connamespace from pg_conversion
    union all select 'pg_ts_config'::regclass, oid, cfgnamespace from pg_ts_config
    union all select 'pg_ts_dict'::regclass, oid, dictnamespace from pg_ts_dict
    union all select 'pg_ts_parser'::regclass, oid, prsnamespace from pg_ts_parser
    union all select 'pg_ts_template'::regclass, oid, tmplnamespace from pg_ts_template
) o
join managed m on m.oid = o.namespace
cross join lateral pg_identify_object(o.class, o.oid, 0) i
where not exists (select from pg_depend d where d.classid = o.class and d.objid = o.oid and d.deptype = 'e')
