//! The application's four enum types. `tests/enums.rs` holds them against the database.

use postgres_types::{FromSql, ToSql};

macro_rules! labels {
    ($type:ty, $name:literal, [$($variant:ident => $label:literal),+ $(,)?]) => {
        impl $type {
            /// The type's name in the database.
            pub const NAME: &'static str = $name;
            /// Every value, in the order of the database.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label as it stands in the database.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label),+
                }
            }
        }
    };
}

/// Who wrote a chat message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSql, FromSql)]
#[postgres(name = "message_role", rename_all = "snake_case")]
pub enum MessageRole {
    /// The person.
    User,
    /// The assistant.
    Assistant,
}
labels!(MessageRole, "message_role", [User => "user", Assistant => "assistant"]);

/// Life cycle of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSql, FromSql)]
#[postgres(name = "chat_thread_status", rename_all = "snake_case")]
pub enum ChatThreadStatus {
    /// In use.
    Active,
    /// Put away by its owner.
    Archived,
    /// Marked as deleted.
    Deleted,
}
labels!(ChatThreadStatus, "chat_thread_status", [Active => "active", Archived => "archived", Deleted => "deleted"]);

/// How far the processing of an uploaded document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSql, FromSql)]
#[postgres(name = "document_status", rename_all = "snake_case")]
pub enum DocumentStatus {
    /// Waiting.
    Pending,
    /// Under way.
    Processing,
    /// Done.
    Completed,
    /// Given up.
    Failed,
}
labels!(DocumentStatus, "document_status", [
    Pending => "pending", Processing => "processing", Completed => "completed", Failed => "failed",
]);

/// Life cycle of a vector store at OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSql, FromSql)]
#[postgres(name = "vector_store_status", rename_all = "snake_case")]
pub enum VectorStoreStatus {
    /// In use.
    Active,
    /// Expired at OpenAI.
    Expired,
    /// Deleted at OpenAI.
    Deleted,
}
labels!(VectorStoreStatus, "vector_store_status", [Active => "active", Expired => "expired", Deleted => "deleted"]);
