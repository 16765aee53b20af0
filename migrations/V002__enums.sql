-- The four enum types. In the schema document they come last; tables need them first (42704 otherwise).

CREATE TYPE public.message_role AS ENUM ('user', 'assistant');
CREATE TYPE public.chat_thread_status AS ENUM ('active', 'archived', 'deleted');
CREATE TYPE public.document_status AS ENUM ('pending', 'processing', 'completed', 'failed');
CREATE TYPE public.vector_store_status AS ENUM ('active', 'expired', 'deleted');

COMMENT ON TYPE public.message_role IS 'Who wrote a chat message.';
COMMENT ON TYPE public.chat_thread_status IS 'Life cycle of a conversation, as its owner sees it.';
COMMENT ON TYPE public.document_status IS 'How far the processing of an uploaded document has come.';
COMMENT ON TYPE public.vector_store_status IS 'Life cycle of a vector store at OpenAI.';
