//! The SQLSTATEs that the tool tells apart. PostgreSQL manual, appendix A.

/// insufficient_privilege: a grant is missing, or a policy refused the row.
pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// feature_not_supported.
pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
/// invalid_cursor_state: among others, a cursor that stands on no row.
pub const INVALID_CURSOR_STATE: &str = "24000";
/// not_null_violation.
pub const NOT_NULL_VIOLATION: &str = "23502";
/// foreign_key_violation.
pub const FOREIGN_KEY_VIOLATION: &str = "23503";
/// check_violation.
pub const CHECK_VIOLATION: &str = "23514";
/// generated_always: a value was given to a column that takes none.
pub const GENERATED_ALWAYS: &str = "428C9";
/// unique_violation.
pub const UNIQUE_VIOLATION: &str = "23505";
/// object_not_in_prerequisite_state: among others, ON CONFLICT by a deferrable constraint.
pub const NOT_IN_PREREQUISITE_STATE: &str = "55000";
/// lock_not_available: lock_timeout, or NOWAIT.
pub const LOCK_NOT_AVAILABLE: &str = "55P03";
/// query_canceled: statement_timeout, or a cancel request.
pub const QUERY_CANCELED: &str = "57014";
/// disk_full.
pub const DISK_FULL: &str = "53100";
/// in_failed_sql_transaction: an earlier statement of the transaction failed.
pub const IN_FAILED_TRANSACTION: &str = "25P02";
/// read_only_sql_transaction: a standby, or `default_transaction_read_only`.
pub const READ_ONLY_TRANSACTION: &str = "25006";
/// invalid_password.
pub const INVALID_PASSWORD: &str = "28P01";
/// invalid_authorization_specification: no such role, or pg_hba.conf refuses it.
pub const INVALID_AUTHORIZATION: &str = "28000";
/// invalid_catalog_name: no such database.
pub const INVALID_CATALOG_NAME: &str = "3D000";
/// invalid_schema_name.
pub const INVALID_SCHEMA_NAME: &str = "3F000";
/// undefined_table.
pub const UNDEFINED_TABLE: &str = "42P01";
