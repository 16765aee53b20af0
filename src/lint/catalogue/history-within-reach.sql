-- severity: error
-- reach: api
-- condition: A client role holds a right on a table in which a migration tool keeps its history.
-- effect: it can read what the schema is made of, or write that a migration was applied which was not
-- remedy: revoke the right, and keep the history in a schema that is not exposed

select r.shown, format('the migration history %s is within reach', r.shown),
    format('REVOKE ALL ON TABLE %s FROM PUBLIC, %s;', r.name, string_agg(quote_ident(c.rolname), ', ' order by c.rolname)),
    format('of %s', string_agg(c.rolname, ', ' order by c.rolname))
from relation r
join pg_class t on t.oid = r.oid
join client c on has_schema_privilege(c.oid, t.relnamespace, 'USAGE')
    and (has_any_column_privilege(c.oid, r.oid, 'SELECT, INSERT, UPDATE') or has_table_privilege(c.oid, r.oid, 'DELETE, TRUNCATE'))
where r.relname in (
    'refinery_schema_history', 'schema_migrations', '_sqlx_migrations', 'flyway_schema_history', 'databasechangelog',
    '_prisma_migrations', 'alembic_version', 'knex_migrations', 'django_migrations', '__drizzle_migrations', 'goose_db_version', 'migrations'
)
group by r.shown, r.name
